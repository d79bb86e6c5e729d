"""The trained example from Keras to a verified file with every recipe, and the file in another runtime."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from farm import locations, recipes
from farm.artifacts import ArtifactName
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.stages import StageName
from pipeline.inference.archive import open_language_model
from pipeline.request import StageRequest, StageResult
from pipeline.stages import convert, litert_lm, verify
from tests import processors
from tests.fixtures import kept_graphs

HANDED_ON = (ArtifactName.MODEL, ArtifactName.TOKENIZER, ArtifactName.REFERENCE, ArtifactName.MODEL_INFO)
PROMPTS = (
    "The list type",
    "Return the first item of",
    "If an exception is raised while the body of the with statement is executed, the context manager's exit method"
    " is called with the type, the value and the traceback of that exception as its arguments, and so",
)


def say_nothing(_share: float, _activity: str) -> None:
    return


@pytest.fixture(scope="module")
def verified(graph_caches: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, StageResult]]:
    """By recipe: the folder with the model's files, and what the verification gave. The graphs are converted once."""
    top = tmp_path_factory.mktemp("example")
    found, newly_converted = {}, 0.0
    for recipe in recipes.RECIPES:
        workdir = top / recipe.alias
        request = conversion(workdir, top, recipe.name)
        request = request.model_copy(update={"caches": graph_caches})
        newly_converted += 1 - figure(convert.run(request, say_nothing), "graph_cached")
        kept_graphs.keep(request)
        for artifact in HANDED_ON:
            shutil.copy(request.output(artifact), request.input(artifact))
        result = verify.run(request.model_copy(update={"stage": StageName.VERIFY}), say_nothing)
        found[recipe.alias] = (workdir / "outputs", result)
    # One for weights as they are, one for prepared ones, one for static activations; or they were kept.
    assert newly_converted <= 3
    return found


def conversion(workdir: Path, top: Path, recipe: str) -> StageRequest:
    """The request to convert the example."""
    for name in ("inputs", "outputs", "scratch"):
        (workdir / name).mkdir(parents=True)
    (workdir / "inputs" / "source").symlink_to(locations.EXAMPLES / "tiny_gpt2")
    return StageRequest(
        stage=StageName.CONVERT,
        spec=JobSpec(model_kind=ModelKind.FOLDER, model="examples/tiny_gpt2", recipe=recipe),
        workdir=workdir,
        caches=top / "caches",
        toolchain=top,
        keystore=None,
        threads=processors.threads(),
    )


def figure(result: StageResult, name: str) -> float:
    return next(metric.value for metric in result.metrics if metric.name == name)


def test_every_recipe_passes_its_limits(verified: dict[str, tuple[Path, StageResult]]) -> None:
    for _, result in verified.values():
        # Of text in five languages, of which the model knows one; a broken file has hundreds of times as much.
        assert 1 < figure(result, "perplexity") < 5000
        assert figure(result, "greedy_steps") > 20
    assert figure(verified["none"][1], "greedy_agreement") == 1.0
    differences = [figure(verified[alias][1], "divergence") for alias in ("none", "fp16", "int8", "int8-plain")]
    assert differences == sorted(differences)


def test_sizes_are_what_the_recipes_promise(verified: dict[str, tuple[Path, StageResult]]) -> None:
    sizes = {alias: (folder / "model.tflite").stat().st_size for alias, (folder, _) in verified.items()}
    # The graph, with 50 kB a signature, the vectors, the scales and (with int8) the positions do not shrink.
    rest = 320 << 10
    assert sizes["fp16"] < 0.5 * sizes["none"] + rest
    assert sizes["int8"] < 0.25 * sizes["none"] + rest


@pytest.mark.parametrize("alias", ["none", "int8"])
def test_litert_lm_writes_the_same(alias: str, verified: dict[str, tuple[Path, StageResult]], tmp_path: Path) -> None:
    folder, _ = verified[alias]
    request = conversion(tmp_path / "job", tmp_path, recipes.find(alias).name)
    for artifact in (ArtifactName.MODEL, ArtifactName.TOKENIZER, ArtifactName.MODEL_INFO, ArtifactName.GOLDEN):
        (request.input(artifact)).symlink_to(folder / artifact.value)
    packed = litert_lm.run(request.model_copy(update={"stage": StageName.LITERT_LM}), say_nothing)
    assert packed.notes == ()
    golden = json.loads((folder / ArtifactName.GOLDEN.value).read_text())
    written = sum(len(prompt["tokens"]) for prompt in golden["prompts"])
    assert figure(packed, "litert_lm_prompts") == len(golden["prompts"]) == 4
    # The end of a text may lie within a character.
    assert written - 4 <= figure(packed, "litert_lm_tokens") + figure(packed, "litert_lm_ties") <= written
    if alias == "none":
        assert figure(packed, "litert_lm_ties") == 0
    file = request.output(ArtifactName.LITERT_LM)
    for prompt in PROMPTS:
        texts = ["".join(open_language_model(each).complete(prompt, 24)) for each in (file, folder)]
        assert texts[0] == texts[1] != ""
