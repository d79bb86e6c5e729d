"""One module a stage, each with `run(request, report) -> StageResult`.

`python -m pipeline.stages WORKDIR` runs one.
"""
