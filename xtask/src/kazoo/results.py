"""A plugin of pytest: each test's outcome to the file `$RESULTS`, a line each: OUTCOME, NAME and, where it did not
pass, the reason, with tabs between."""

import os

worst = {}
ORDER = ["passed", "skipped", "failed"]


def pytest_runtest_logreport(report):
    name = report.nodeid.split("/")[-1]
    reason = ""
    if report.failed:
        reason = report.longreprtext.strip().splitlines()[-1]
        crash = getattr(report.longrepr, "reprcrash", None)
        reason = crash.message.splitlines()[0] if crash else reason
    elif report.skipped:
        reason = report.longrepr[2]
    before = worst.get(name, ("passed", ""))
    if ORDER.index(report.outcome) >= ORDER.index(before[0]):
        worst[name] = (report.outcome, reason)


def pytest_sessionfinish():
    with open(os.environ["RESULTS"], "w") as file:
        for name, (outcome, reason) in sorted(worst.items()):
            file.write("%s\t%s\t%s\n" % (outcome, name, reason.replace("\t", " ")))
