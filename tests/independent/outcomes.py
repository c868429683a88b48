"""Reads outcomes with an independent CloudEvents SDK, so that our own encoder is not its only witness.

    pip install cloudevents
    kcat -C -e -q -b BROKER -t severance.outcomes -J | python3 tests/independent/outcomes.py

`-J` prints each record as JSON with its headers, key and payload. Prints one line an outcome and
exits 1 at the first that the SDK does not take or that is not what a reader may rely on.
"""

import json
import sys

from cloudevents.kafka import KafkaMessage, from_structured


def main() -> int:
    count = 0
    for line in sys.stdin:
        record = json.loads(line)
        pairs = record.get("headers") or []
        headers = {name: value.encode() for name, value in zip(pairs[::2], pairs[1::2])}
        message = KafkaMessage(
            headers=headers, key=record["key"].encode(), value=record["payload"].encode()
        )
        event = from_structured(message)
        data = event.data
        if event["type"] != "io.severance.termination.v1":
            print(f"not an outcome: {event['type']}")
            return 1
        if not (event["subject"] == record["key"] == data["case_id"]):
            print(f"subject, key and case_id differ in {event['id']}")
            return 1
        print(event["id"], event["time"], data["status"], "final" if data["final"] else "not final", data["case_id"])
        count += 1
    print(f"{count} outcomes read")
    return 0 if count else 1


if __name__ == "__main__":
    sys.exit(main())
