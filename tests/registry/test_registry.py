"""The package as a whole: what its users import, and what importing it must not cost."""

import subprocess
import sys

from wsaudit import registry


def test_everything_promised_is_there() -> None:
    assert all(hasattr(registry, name) for name in registry.__all__)


def test_importing_reads_no_file_and_no_toml_parser() -> None:
    program = "import sys, wsaudit.registry; sys.exit('tomllib' in sys.modules or 'importlib.resources' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
