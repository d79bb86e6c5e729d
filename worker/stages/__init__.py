"""One module a stage, each with `run(order, report) -> StageResult`; started as `python -m worker.stages WORKDIR`."""
