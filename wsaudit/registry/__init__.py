"""What the world says about numbers and names: dated TOML files, each with its source, and functions that look things up.

Nothing is read before it is asked for, and each file only when a question needs it; every answer is a frozen value.

    close_codes   close codes and private dictionaries     close_code, is_sendable, describe
    names         opcodes, extensions, subprotocols        opcode, extension, subprotocol, browser, is_browser
    heartbeats    applications' own heartbeats           message_beats, goodbye, home_targets
    signatures    timeouts, heartbeats, words              load_signatures
    libraries     libraries that report something else     recognise, deviations, deviation_note, may_deviate
    cloudflare    our endings in the edge's words          cloudflare_close
    loader        reads and checks the files
"""

from wsaudit.registry.close_codes import CloseCode, PrivateCode, close_code, describe, is_sendable, private_meanings
from wsaudit.registry.cloudflare import CloudflareClose, cloudflare_close
from wsaudit.registry.heartbeats import MessageBeat, compact, goodbye, home_targets, message_beats
from wsaudit.registry.libraries import UNSEEN, Deviation, Library, deviation_note, deviations, may_deviate, recognise
from wsaudit.registry.names import Extension, Opcode, Subprotocol, browser, extension, is_browser, opcode, subprotocol
from wsaudit.registry.signatures import KeepAlive, Limit, Signatures, Text, Wait, load_signatures

__all__ = [
    "UNSEEN",
    "CloseCode",
    "CloudflareClose",
    "Deviation",
    "Extension",
    "KeepAlive",
    "Library",
    "Limit",
    "MessageBeat",
    "Opcode",
    "PrivateCode",
    "Signatures",
    "Subprotocol",
    "Text",
    "Wait",
    "browser",
    "close_code",
    "cloudflare_close",
    "compact",
    "describe",
    "deviation_note",
    "deviations",
    "extension",
    "goodbye",
    "is_browser",
    "is_sendable",
    "load_signatures",
    "home_targets",
    "may_deviate",
    "message_beats",
    "opcode",
    "private_meanings",
    "recognise",
    "subprotocol",
]
