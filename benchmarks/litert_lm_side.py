"""LiteRT-LM in a process of its own: `python -m benchmarks.litert_lm_side FILE CONTEXT THREADS`, then lines of JSON.

Each line has a `text` to be read from nothing and how many `tokens` to write behind it; the answer has their numbers
by LiteRT-LM's own benchmark, and seconds of processor time, which other work on the machine adds little to.
"""

from __future__ import annotations

import json
import sys
import time

import litert_lm


def main(path: str, context: int, threads: int) -> None:
    """Answer each line of stdin."""
    litert_lm.set_min_log_severity(litert_lm.LogSeverity.ERROR)
    greedy = litert_lm.SamplerConfig(top_k=1, temperature=0.0)
    cpu = litert_lm.Backend.CPU(thread_count=threads)
    started = time.process_time()
    with litert_lm.Engine(
        path, backend=cpu, max_num_tokens=context, cache_dir=":nocache", enable_benchmark=True
    ) as engine:
        say({"open": time.process_time() - started})
        for line in sys.stdin:
            asked = json.loads(line)
            with engine.create_session(
                apply_prompt_template=False, sampler_config=greedy, max_output_tokens=asked["tokens"]
            ) as session:
                started = time.process_time()
                session.run_prefill([asked["text"]])
                read = time.process_time()
                session.run_decode()
                written = time.process_time()
                found = session.get_benchmark_info()
            say(
                {
                    "read_tokens": found.last_prefill_token_count,
                    "read": read - started,
                    "written_tokens": found.last_decode_token_count,
                    "step": (written - read) / max(1, found.last_decode_token_count),
                }
            )


def say(value: dict[str, float]) -> None:
    """One line of stdout."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
