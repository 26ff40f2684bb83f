"""Reads EDN transactions, one file each, with edn_format and prints the entities as JSON."""

import datetime
import json
import sys

import edn_format


def plain(value):
    if isinstance(value, edn_format.Keyword):
        return ":" + value.name
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, (edn_format.ImmutableList, list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (edn_format.ImmutableDict, dict)):
        return {plain(key): plain(item) for key, item in value.items()}
    return value


print(json.dumps([plain(edn_format.loads(open(path, encoding="utf-8").read())) for path in sys.argv[1:]]))
