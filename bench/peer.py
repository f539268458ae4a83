"""An engine to measure beside ours, as a process that lives through a run.

usage: peer.py duckdb|polars CONFIG (JSON: threads, memory, scratch)

Requests are lines of JSON on standard input, answers lines of JSON on standard
output: {"views": {name: path}} makes tables, {"sql": text} runs a statement and
answers with its wall and CPU time in ms, the peak RSS in MB and the rows as CSV.
"""
import csv
import io
import json
import os
import resource
import sys
import time


class DuckDB:
    def __init__(self, config):
        import duckdb

        self.version = duckdb.__version__
        self.connection = duckdb.connect()
        self.connection.execute("SET enable_progress_bar=false")
        self.connection.execute(f"SET threads={config['threads']}")
        if config.get("memory"):
            self.connection.execute(f"SET memory_limit='{config['memory']}'")
        if config.get("scratch"):
            self.connection.execute(f"SET temp_directory='{config['scratch']}'")

    def views(self, views):
        for name, path in views.items():
            path = path.replace("'", "''")
            self.connection.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM '{path}'")

    def run(self, sql):
        return self.connection.execute(sql)

    def csv(self, result):
        if result.description is None:
            return ""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([column[0] for column in result.description])
        writer.writerows(result.fetchall())
        return out.getvalue()


class Polars:
    def __init__(self, config):
        os.environ["POLARS_MAX_THREADS"] = str(config["threads"])  # read when it is imported
        import polars

        self.polars = polars
        self.version = polars.__version__
        self.context = polars.SQLContext()

    def views(self, views):
        for name, path in views.items():
            self.context.register(name, self.polars.scan_parquet(path))

    def run(self, sql):
        return self.context.execute(sql).collect(engine="streaming")

    def csv(self, result):
        return result.write_csv()


def reset_peak():
    try:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
    except OSError:
        pass  # the peak is then the process's, not the statement's


def peak_mb():
    try:
        with open("/proc/self/status") as f:
            for line in f:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def cpu_ms():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) * 1000


def answer(engine, request):
    if "views" in request:
        engine.views(request["views"])
        return {"version": engine.version}
    reset_peak()
    cpu, start = cpu_ms(), time.perf_counter()
    result = engine.run(request["sql"])
    wall, cpu = (time.perf_counter() - start) * 1000, cpu_ms() - cpu
    return {"wall": wall, "cpu": cpu, "rss": peak_mb(), "csv": engine.csv(result)}


def main():
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # engines print progress on what they take for a terminal's output
    engine = {"duckdb": DuckDB, "polars": Polars}[sys.argv[1]](json.loads(sys.argv[2]))
    for line in sys.stdin:
        try:
            reply = answer(engine, json.loads(line))
        except BaseException as e:  # a panic of Polars is no Exception
            reply = {"error": f"{type(e).__name__}: {e}"}
        print(json.dumps(reply), file=replies, flush=True)


main()
