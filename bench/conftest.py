"""pytest-benchmark over the cases: ``pytest bench``, on one core with one thread."""

import pytest

from bench import measure

about = pytest.StashKey()


def pytest_configure(config):
    if not config.pluginmanager.hasplugin("benchmark"):
        raise pytest.UsageError("pytest bench needs pytest-benchmark, which pip install '.[bench]' brings.")
    try:
        config.stash[about] = measure.ready(quiet=True)
    except RuntimeError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_report_header(config):
    return [f"timing {measure.folder()}", measure.described(config.stash[about])]


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config, machine_info):
    machine_info["fastbp"] = config.stash[about]
