"""Fixtures: a service for each test, and the log of it where the test fails."""

import pytest

import harness


def pytest_configure(config):
    config.addinivalue_line("markers", "settings(*items): section.key=value of the service under test")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    service = item.funcargs.get("service") if hasattr(item, "funcargs") else None
    if report.failed and service is not None:
        tail = service.log().splitlines()[-80:]
        report.sections.append(("log of the service", "\n".join(tail)))
    return report


@pytest.fixture
def service(request):
    """The service, with the accounts romeo and juliet."""
    settings = [item for mark in request.node.iter_markers("settings") for item in mark.args]
    deployment = harness.make_deployment(settings)
    try:
        deployment.start()
        for name in ("romeo", "juliet"):
            deployment.add_user(name)
        yield deployment
        if getattr(deployment, "process", None) is not None:
            deployment.stop()
    finally:
        deployment.remove()
