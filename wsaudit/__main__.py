"""`python -m wsaudit`."""

from wsaudit.cli import main

if __name__ == "__main__":
    main()
