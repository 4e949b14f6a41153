"""What the program leaves to Python: reading JSON and dates, and the statistics."""

import datetime
import json
import statistics


def orders(path):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            order = json.loads(line)
            order["placed"] = datetime.datetime.fromisoformat(order["placed"]).timestamp()
            yield order


def spread(totals):
    low, middle, high = statistics.quantiles(totals, n=4)
    return {"low": low, "middle": middle, "high": high}
