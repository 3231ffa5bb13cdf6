"""What a passive observer can judge: one function a rule (rule.py), one module a section, one judge (judge.py).

Importing the package fills the catalogue.
"""

from wsaudit.rules import framing as framing
