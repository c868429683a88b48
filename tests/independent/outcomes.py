"""Reads outcomes with an independent CloudEvents SDK, so that our own encoder is not its only witness.

    pip install 'cloudevents>=2'
    kcat -C -e -q -b BROKER -t severance.outcomes -J | python3 tests/independent/outcomes.py

`-J` prints each record as JSON with its headers, key and payload. Prints one line an outcome and
exits 1 at the first that the SDK does not take or that is not what a reader may rely on.
"""

import json
import sys

from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event


def main() -> int:
    count = 0
    for line in sys.stdin:
        record = json.loads(line)
        pairs = record.get("headers") or []
        headers = {name: value.encode() for name, value in zip(pairs[::2], pairs[1::2])}
        message = KafkaMessage(
            headers=headers, key=record["key"].encode(), value=record["payload"].encode()
        )
        event = from_kafka_event(message)
        data = event.get_data()
        if event.get_type() != "io.severance.termination.v1":
            print(f"not an outcome: {event.get_type()}")
            return 1
        if not (event.get_subject() == record["key"] == data["case_id"]):
            print(f"subject, key and case_id differ in {event.get_id()}")
            return 1
        final = "final" if data["final"] else "not final"
        print(event.get_id(), event.get_time(), data["status"], final, data["case_id"])
        count += 1
    print(f"{count} outcomes read")
    return 0 if count else 1


if __name__ == "__main__":
    sys.exit(main())
