"""What Arrow's own client sees of a shuffle server; flightclient_test.go runs it.

flight.py read HOST:PORT JOB EXCHANGE   all rows of a finished exchange, as an Arrow stream
flight.py message                       a schema and a message of ours on standard input, as an Arrow stream
"""

import sys

import pyarrow as pa
import pyarrow.flight as flight


def read(address, *path):
    client = flight.connect("grpc://" + address)
    info = client.get_flight_info(flight.FlightDescriptor.for_path(*path))
    with pa.ipc.new_stream(sys.stdout.buffer, info.schema) as out:
        for endpoint in info.endpoints:
            for chunk in client.do_get(endpoint.ticket):
                chunk.data.validate(full=True)
                out.write_batch(chunk.data)


def message():
    given = pa.BufferReader(sys.stdin.buffer.read())
    schema = pa.ipc.read_schema(given)
    batch = pa.ipc.read_record_batch(pa.ipc.read_message(given), schema)
    batch.validate(full=True)
    with pa.ipc.new_stream(sys.stdout.buffer, schema) as out:
        out.write_batch(batch)


{"read": read, "message": message}[sys.argv[1]](*sys.argv[2:])
