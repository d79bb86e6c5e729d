"""Every error that a user can meet: one sentence that says what to do next, and an exit code of its own.

    FarmError 1
    ├── UsageError 2
    ├── JobFailed 11
    ├── JobCancelled 12
    ├── WaitInterrupted 13
    ├── ModelError
    │   ├── ModelNotFound 20
    │   ├── ModelEmpty 21
    │   ├── ModelDamaged 22
    │   ├── NotCausalLM 23
    │   ├── UnsupportedFamily 24
    │   ├── ModelUnsafe 25
    │   ├── HubUnreachable 26
    │   ├── UnsupportedArchitecture 27
    │   ├── ModelChanged 28
    │   └── AdapterUnusable 18
    ├── SpecError
    │   ├── CalibrationUnusable 19
    │   ├── EvaluationUnusable 17
    │   ├── SettingNotForIoMode 29
    │   ├── UnknownRecipe 30
    │   ├── ContextTooLong 31
    │   ├── SequenceTooLong 32
    │   ├── BadApplicationId 33
    │   ├── UnknownAbi 34
    │   ├── UnknownIoMode 35
    │   ├── BadAppSetting 36
    │   ├── RecipeNotRunnable 37
    │   ├── UnknownMode 38
    │   ├── BadPromptTemplate 39
    │   └── ChatTemplateUnusable 16
    ├── ResourceError
    │   ├── DiskFull 40
    │   ├── OutOfMemory 41
    │   ├── StageTimeout 42
    │   ├── WorkerLost 43
    │   ├── StageCrashed 44
    │   ├── ToolMissing 45
    │   └── SandboxUnavailable 46
    ├── CheckError
    │   ├── DescriptionMismatch 50
    │   ├── ReferenceMismatch 51
    │   ├── QualityMissed 52
    │   ├── OpNotAllowed 53
    │   ├── PackageInvalid 54
    │   ├── HostMismatch 55
    │   ├── BindingFailed 56
    │   ├── FlexRunFailed 57
    │   ├── OpForbidden 58
    │   └── PreparationFailed 59
    ├── AarError
    │   ├── AarUnusable 65
    │   ├── AarUnfit 66
    │   ├── ReferenceEnvironmentUnavailable 67
    │   ├── ReferenceRunDiffers 68
    │   └── AarBuildFailed 69
    ├── SigningError
    │   ├── KeystoreUnusable 60
    │   └── KeystorePasswordMissing 61
    ├── StoreError
    │   ├── ArtifactDamaged 70
    │   ├── ArtifactMissing 71
    │   ├── DatabaseUnusable 72
    │   ├── StoreUnusable 73
    │   ├── StoreForeign 74
    │   └── BrokerUnusable 75
    ├── JobLookupError
    │   ├── JobNotFound 80
    │   ├── AmbiguousJob 81
    │   ├── NoJobYet 82
    │   └── JobNotFinished 83
    ├── TransitionRefused 84
    ├── FileUnreadable 85
    ├── OutputExists 86
    ├── MeasurementUnreadable 87
    ├── MeasurementForeign 88
    ├── RemoteError
    │   ├── FarmUnreachable 91
    │   ├── NotAuthenticated 92
    │   ├── NotPermitted 93
    │   ├── QuotaExceeded 94
    │   ├── UploadTooLarge 95
    │   ├── UploadConflict 96
    │   ├── AnswerUnusable 97
    │   ├── ProfileUnknown 98
    │   └── TokenNotFound 99
    ├── PortInUse 89
    └── SettingsInvalid 90

The number is the process's exit code. A class without one is a family and is never raised itself.
`retryable` says whether the same job may succeed when it is simply run again.
"""

from __future__ import annotations

from typing import ClassVar

from farm.plain_text import clean


class FarmError(Exception):
    """Base of all errors with a sentence for the user."""

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    @property
    def sentence(self) -> str:
        """The sentence that is shown to the user: one line, whatever a file or a name in it brought along."""
        return clean(str(self))

    @classmethod
    def code(cls) -> str:
        """The stable name of the error in JSON and in the database: `ModelNotFound` -> `model-not-found`."""
        return _kebab(cls.__name__)


class UsageError(FarmError):
    """A wrong command line or call."""

    exit_code = 2


class JobFailed(FarmError):
    """A job that was waited for ended as failed."""

    exit_code = 11


class JobCancelled(FarmError):
    """A job that was waited for was cancelled."""

    exit_code = 12


class WaitInterrupted(FarmError):
    """Waiting was broken off; the job continues."""

    exit_code = 13


class ModelError(FarmError):
    """Something is wrong with the model that was given."""


class ModelNotFound(ModelError):
    """The model reference leads nowhere."""

    exit_code = 20


class ModelEmpty(ModelError):
    """The folder holds no Keras preset."""

    exit_code = 21


class ModelDamaged(ModelError):
    """A model file is truncated or not what its name says."""

    exit_code = 22


class NotCausalLM(ModelError):
    """A Keras model that is no CausalLM."""

    exit_code = 23


class UnsupportedFamily(ModelError):
    """A CausalLM of a family that has no mapping."""

    exit_code = 24


class ModelUnsafe(ModelError):
    """The static check refuses the model file."""

    exit_code = 25


class HubUnreachable(ModelError):
    """A preset or hub model cannot be fetched from here, as several tries have shown."""

    exit_code = 26


class UnsupportedArchitecture(ModelError):
    """A known family with a setting that the decoder description cannot express."""

    exit_code = 27


class ModelChanged(ModelError):
    """The model's files changed between submit and fetch."""

    exit_code = 28


class SpecError(FarmError):
    """Something in the job's settings cannot be done."""


class AdapterUnusable(ModelError):
    """A LoRA adapter is missing, of an unknown kind, has a setting that cannot be merged, or is of another base."""

    exit_code = 18


class CalibrationUnusable(SpecError):
    """The calibration text is missing, no text, too long, or not needed by the recipe."""

    exit_code = 19


class EvaluationUnusable(SpecError):
    """The text to measure quality on is missing, no UTF-8, too short or too long, or the model cannot read it."""

    exit_code = 17


class SettingNotForIoMode(SpecError):
    """A setting was given that the job's I/O mode does not have."""

    exit_code = 29


class UnknownRecipe(SpecError):
    """No recipe of that name."""

    exit_code = 30


class ContextTooLong(SpecError):
    """The context is longer than the model's positions."""

    exit_code = 31


class SequenceTooLong(SpecError):
    """Prompt and output do not fit into the context."""

    exit_code = 32


class BadApplicationId(SpecError):
    """An application id that Android refuses."""

    exit_code = 33


class UnknownAbi(SpecError):
    """An ABI for which there is no runtime library."""

    exit_code = 34


class UnknownIoMode(SpecError):
    """No I/O mode of that name."""

    exit_code = 35


class BadAppSetting(SpecError):
    """A name or version that Android refuses."""

    exit_code = 36


class RecipeNotRunnable(SpecError):
    """A recipe that the chosen runtime is known to compute wrongly."""

    exit_code = 37


class UnknownMode(SpecError):
    """A mode that the app does not have."""

    exit_code = 38


class BadPromptTemplate(SpecError):
    """A prompt template without a place for the prompt, too long, or in a mode that has none."""

    exit_code = 39


class ChatTemplateUnusable(SpecError):
    """A chat template that can't be rendered or expressed, or a chat with a model that has none."""

    exit_code = 16


class ResourceError(FarmError):
    """The machine lacks something."""


class DiskFull(ResourceError):
    """No room to write."""

    exit_code = 40


class OutOfMemory(ResourceError):
    """A stage hit its memory limit."""

    exit_code = 41
    retryable = True


class StageTimeout(ResourceError):
    """A stage hit its time limit."""

    exit_code = 42
    retryable = True


class WorkerLost(ResourceError):
    """The worker vanished in mid-job."""

    exit_code = 43
    retryable = True


class StageCrashed(ResourceError):
    """A stage's process ended without a result."""

    exit_code = 44
    retryable = True


class ToolMissing(ResourceError):
    """A program or package that a stage needs is not installed."""

    exit_code = 45


class SandboxUnavailable(ResourceError):
    """Stages shall run in a sandbox, and none works on this machine."""

    exit_code = 46


class CheckError(FarmError):
    """A check found a difference."""


class DescriptionMismatch(CheckError):
    """The decoder description does not fit the weights, or a Keras parameter was not used."""

    exit_code = 50


class ReferenceMismatch(CheckError):
    """The decoder graph and Keras's full forward pass disagree."""

    exit_code = 51


class QualityMissed(CheckError):
    """The artifact misses a limit of its recipe."""

    exit_code = 52


class OpNotAllowed(CheckError):
    """The converted file holds an op outside the job's allowlist."""

    exit_code = 53


class PackageInvalid(CheckError):
    """The APK fails one of its checks."""

    exit_code = 54


class HostMismatch(CheckError):
    """The app's own code on the JVM gives other tokens than the golden ones."""

    exit_code = 55


class BindingFailed(CheckError):
    """The weightless graph does not have the form that the binder knows."""

    exit_code = 56


class FlexRunFailed(CheckError):
    """A model with TensorFlow operators could not be run on this machine."""

    exit_code = 57


class OpForbidden(CheckError):
    """The model holds an op that no job may use: one that reads files, runs Python, queues or hides what it is."""

    exit_code = 58


class PreparationFailed(CheckError):
    """What a recipe does to the weights before it rounds them changed what the model computes, or could not be done."""

    exit_code = 59


class AarError(FarmError):
    """Something is wrong with the Android library that runs the I/O mode `strings`."""


class AarUnusable(AarError):
    """The file is no AAR that can be read, or has no native library."""

    exit_code = 65


class AarUnfit(AarError):
    """The AAR lacks an ABI or an op that the job needs, or none was built for its ops yet."""

    exit_code = 66


class ReferenceEnvironmentUnavailable(AarError):
    """TensorFlow of the AAR's version could not be installed."""

    exit_code = 67
    retryable = True


class ReferenceRunDiffers(AarError):
    """TensorFlow of the AAR's version writes other tokens with the model than the verified ones."""

    exit_code = 68


class AarBuildFailed(AarError):
    """The build of an AAR ended without one."""

    exit_code = 69


class SigningError(FarmError):
    """Something is wrong with the signing key."""


class KeystoreUnusable(SigningError):
    """The keystore cannot be opened or lacks the key."""

    exit_code = 60


class KeystorePasswordMissing(SigningError):
    """A keystore was given without a source for its password."""

    exit_code = 61


class StoreError(FarmError):
    """Something is wrong with the farm's own data."""


class ArtifactDamaged(StoreError):
    """A stored file no longer has its hash."""

    exit_code = 70


class ArtifactMissing(StoreError):
    """A stored file is gone, or the job has no artifact of that name."""

    exit_code = 71


class DatabaseUnusable(StoreError):
    """The database cannot be opened or is of a newer version."""

    exit_code = 72


class StoreUnusable(StoreError):
    """The artifact store elsewhere does not answer, or refuses."""

    exit_code = 73
    retryable = True


class StoreForeign(StoreError):
    """The artifact store belongs to another database."""

    exit_code = 74


class BrokerUnusable(StoreError):
    """The broker does not answer or refuses a message."""

    exit_code = 75


class JobLookupError(FarmError):
    """The job that was named cannot be used."""


class JobNotFound(JobLookupError):
    """No job of that id."""

    exit_code = 80


class AmbiguousJob(JobLookupError):
    """More than one job begins with that prefix."""

    exit_code = 81


class NoJobYet(JobLookupError):
    """A command that takes the last job finds none."""

    exit_code = 82


class JobNotFinished(JobLookupError):
    """The job has not succeeded, so it has no artifacts to hand out."""

    exit_code = 83


class TransitionRefused(FarmError):
    """The job's state does not allow what was asked."""

    exit_code = 84


class FileUnreadable(FarmError):
    """A file given to a command is missing or of no known kind."""

    exit_code = 85


class MeasurementUnreadable(FarmError):
    """A file that is to hold what a phone measured does not."""

    exit_code = 87


class MeasurementForeign(FarmError):
    """A measurement that has no place with the job that it was given for."""

    exit_code = 88


class OutputExists(FarmError):
    """A download would overwrite a file."""

    exit_code = 86


class RemoteError(FarmError):
    """Something between a client and a farm elsewhere."""


class FarmUnreachable(RemoteError):
    """The remote farm does not answer."""

    exit_code = 91
    retryable = True


class NotAuthenticated(RemoteError):
    """No token was given, or one that the farm does not know or has revoked."""

    exit_code = 92


class NotPermitted(RemoteError):
    """The token lacks the scope for what was asked."""

    exit_code = 93


class QuotaExceeded(RemoteError):
    """The token has as many jobs or stored bytes as it may have."""

    exit_code = 94
    retryable = True


class UploadTooLarge(RemoteError):
    """More bytes than the farm takes, or than were announced."""

    exit_code = 95


class UploadConflict(RemoteError):
    """Another upload of the same file is under way, or this one does not continue where the last one ended."""

    exit_code = 96
    retryable = True


class AnswerUnusable(RemoteError):
    """The remote farm's answer is not one of a farm of this version."""

    exit_code = 97


class ProfileUnknown(RemoteError):
    """No profile of that name."""

    exit_code = 98


class TokenNotFound(RemoteError):
    """No token of that id."""

    exit_code = 99


class PortInUse(FarmError):
    """The API cannot listen at the address that was asked for."""

    exit_code = 89


class SettingsInvalid(FarmError):
    """A setting of the farm is refused."""

    exit_code = 90


def all_errors() -> list[type[FarmError]]:
    """Every error class that can be raised, by exit code."""
    found: list[type[FarmError]] = []
    pending: list[type[FarmError]] = [FarmError]
    while pending:
        cls = pending.pop()
        if "exit_code" in vars(cls):
            found.append(cls)
        pending += cls.__subclasses__()
    return sorted(found, key=lambda cls: cls.exit_code)


def from_code(code: str, sentence: str) -> FarmError:
    """The error with that stable name, as read from a stage's result or the database."""
    for cls in all_errors():
        if cls.code() == code:
            return cls(sentence)
    return FarmError(sentence)


def _kebab(name: str) -> str:
    words: list[str] = []
    for position, letter in enumerate(name):
        starts_word = letter.isupper() and position > 0 and not name[position - 1].isupper()
        if starts_word:
            words.append("-")
        words.append(letter.lower())
    return "".join(words)
