"""What a passive observer can judge: one function a rule (rule.py), one module a section, one judge (judge.py).

Importing the package fills the catalogue.
"""

from wsaudit.rules import closing as closing
from wsaudit.rules import control as control
from wsaudit.rules import deflate as deflate
from wsaudit.rules import exposure as exposure
from wsaudit.rules import fragmentation as fragmentation
from wsaudit.rules import framing as framing
from wsaudit.rules import handshake_request as handshake_request
from wsaudit.rules import handshake_response as handshake_response
from wsaudit.rules import reconnect as reconnect
from wsaudit.rules import text as text
