"""Prints what benchmarks/conversion measured: summary.py JSON...

For each direction and shape: nanoseconds an element of ours and of the hand-written code, and the ratio.
"""
import json
import sys

EXPECTED = 1.15
# What nobody takes apart to put it together again.
COPIES = {
    "cpp/cpp": "the copy of the value",
    "etf/etf": "ei_skip_term and the copy of the bytes",
    "nif/nif": "enif_make_copy",
}


def main(paths):
    measured = {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if text:  # else no name in it matched the filter
            for run in json.loads(text)["benchmarks"]:
                if "error_message" in run:
                    sys.exit(f"{run['name']}: {run['error_message']}")
                source, sink, shape = run["name"].split("/")[:3]
                measured[f"{source}/{sink}", shape] = run

    print(f"{'direction':<18}{'shape':<16}{'ours':>9}{'by hand':>9}{'ratio':>8}")
    met = 0
    for (direction, shape), run in measured.items():
        good = run["ratio"] <= EXPECTED
        met += good
        print(
            f"{direction.replace('/', ' -> '):<18}{shape:<16}{run['ours']:>9.1f}{run['hand']:>9.1f}"
            f"{run['ratio']:>8.2f}{'' if good else '  *'}"
        )
    print()
    for direction, copy in COPIES.items():
        print(f"{direction.replace('/', ' -> ')} has no code that one would write: ours is beside {copy}.")
    print(f"expected at most {EXPECTED} times the time of hand-written code: met by {met} of {len(measured)}, not by *")


main(sys.argv[1:])
