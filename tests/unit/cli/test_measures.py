from __future__ import annotations

import dataclasses

import pytest

from cli.measures import headlines
from client.protocol import MetricView
from farm.stages import StageName
from farm.states import JobState


def test_what_people_ask_for_first_with_the_recipes_limits(memory_farm) -> None:
    assert dict(headlines(memory_farm.add(JobState.SUCCEEDED))) == {
        "model": "6.00 kB, 26.2 % of float32",
        "agreement": "same next token as Keras in 197 of 200 decisive steps (at least 90 %)",
        "perplexity": "21.3, 1.0095 times Keras's 21.1 (limit 1.025 times)",
        "speed": "32 prompt tokens in 12 ms, then 140 tokens/s, on the farm's processor (not a phone's)",
    }


@pytest.mark.parametrize("missing", ["greedy_steps", "prefill_tokens", "keras_perplexity", "file_bytes"])
def test_what_was_not_measured_is_left_out(memory_farm, missing: str) -> None:
    job = memory_farm.add(JobState.SUCCEEDED)
    job = dataclasses.replace(job, metrics=tuple(metric for metric in job.metrics if metric.name != missing))
    assert len(dict(headlines(job))) == 3


def test_the_longest_text_is_told_with_its_memory(memory_farm) -> None:
    job = memory_farm.add(JobState.SUCCEEDED)
    longest = MetricView(StageName.CONVERT, "context", 4096, "tokens")
    cache = MetricView(StageName.CONVERT, "cache_bytes", 18_000, "bytes")
    words = dict(headlines(dataclasses.replace(job, metrics=(*job.metrics, longest, cache))))
    assert words["context"] == "up to 4096 tokens, which take about 24.0 kB of memory, 18.0 kB of it for the text"


def test_near_ties_are_said_to_be_skipped(memory_farm) -> None:
    job = memory_farm.add(JobState.SUCCEEDED)
    for ties, said in ((1, "1 near-tie skipped"), (13, "13 near-ties skipped")):
        metric = MetricView(StageName.VERIFY, "greedy_ties", ties, "tokens")
        words = dict(headlines(dataclasses.replace(job, metrics=(*job.metrics, metric))))
        assert words["agreement"] == f"same next token as Keras in 197 of 200 decisive steps ({said}, at least 90 %)"


def test_the_download_is_told_once_the_bundle_was_made(memory_farm) -> None:
    job = memory_farm.add(JobState.SUCCEEDED)
    made = MetricView(StageName.BUNDLE, "bundle_download", 117_941_006, "bytes")
    job = dataclasses.replace(job, metrics=(*job.metrics, made))
    assert dict(headlines(job))["download"] == "118 MB from Google Play (estimated)"


def test_what_litert_lm_wrote_is_told(memory_farm) -> None:
    job = memory_farm.add(JobState.SUCCEEDED)
    named = {"litert_lm_tokens": 84, "litert_lm_prompts": 4, "litert_lm_turns": 0, "litert_lm_ties": 0}

    def told(**changes: int) -> str:
        figures = [MetricView(StageName.LITERT_LM, name, value, "") for name, value in (named | changes).items()]
        return dict(headlines(dataclasses.replace(job, metrics=(*job.metrics, *figures))))["LiteRT-LM"]

    assert told() == "writes the same 84 tokens behind 4 golden prompts"
    assert told(litert_lm_agreed=82) == "writes the same 82 of 84 tokens behind 4 golden prompts"
    assert told(litert_lm_turns=3, litert_lm_ties=1) == (
        "writes the same 84 tokens behind 4 golden prompts and 3 turns of a conversation (1 near-tie skipped)"
    )


def test_every_measure_is_in_the_jobs_page(farm, memory_farm) -> None:
    job = memory_farm.add(JobState.SUCCEEDED)
    page = farm("status", job.id).stdout
    for metric in job.metrics:
        assert (metric.name.replace("_", " ") in page) == (metric.name != "process_peak_memory")
