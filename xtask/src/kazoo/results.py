"""A plugin of pytest: each test's outcome to the file `$RESULTS`, a line each: OUTCOME, NAME and, where it did not
pass, the reason, with tabs between."""

import os

worst = {}
names = {}
ORDER = ["passed", "skipped", "failed"]


def pytest_collection_modifyitems(items):
    # The root that pytest finds depends on what it is asked for, and a nodeid on the root.
    for item in items:
        names[item.nodeid] = "::".join([item.path.name] + item.nodeid.split("::")[1:])


def pytest_runtest_logreport(report):
    name = names[report.nodeid]
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
