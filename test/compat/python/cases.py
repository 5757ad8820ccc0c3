# Cases of a Python client: each runs alone under a time limit and prints one JSON line with what it got.
import json
import signal
import sys
import traceback

WORDS = "of the same words " * 20
CASE_SECONDS = 60

_cases = []


def case(name):
    """Adds a function as the case of that name."""

    def add(function):
        _cases.append((name, function))
        return function

    return add


def values(records):
    return [None if record is None else record.decode() for record in records]


def said(**fields):
    print(json.dumps(fields), flush=True)


def restart():
    """Has the hub killed and started again on the same port and folder."""
    said(ask="restart")
    sys.stdin.readline()


def codec_lines():
    """Key, value and number of the 200 records that every codec carries."""
    return [(f"key-{i % 7}", f"{i} {WORDS}", str(i)) for i in range(200)]


def codec_got(records):
    """`records` are (key, value, header) as read back, of one partition."""
    sent = codec_lines()
    return {
        "count": len(records),
        "keys": len({key for key, _, _ in records}),
        "inOrder": [(k, v) for k, v, _ in records] == [(k, v) for k, v, _ in sent],
        "headersMatch": [h for _, _, h in records] == [h for _, _, h in sent],
    }


def _late(*_):
    raise TimeoutError(f"not done within {CASE_SECONDS} s")


def run_all(call=lambda function: function()):
    """Runs every case; `call` runs one function (another one for asyncio)."""
    signal.signal(signal.SIGALRM, _late)
    only = sys.argv[2:]
    for name, function in _cases:
        if only and not any(word in name for word in only):
            continue
        signal.alarm(CASE_SECONDS)
        try:
            said(case=name, got=call(function))
        except BaseException:
            said(case=name, error=traceback.format_exc()[-3000:])
        finally:
            signal.alarm(0)
