"""`java`, for kazoo's harness: it starts `$VIVARIUM node` on the configuration that the harness wrote for a Java
server. What a node does not have is left out of it; system properties that matter become keys."""

import os
import sys

configuration = sys.argv[-1]
folder = os.path.dirname(configuration)
with open(configuration) as file:
    lines = [line for line in file if not line.startswith(("secureClientPort", "ssl."))]
for argument in sys.argv[1:-1]:
    name, _, value = argument.partition("=")
    if name == "-Dreadonlymode.enabled" or name == "-Dzookeeper.DigestAuthenticationProvider.superDigest":
        lines.append("%s=%s\n" % (name[2:].replace("zookeeper.", "", 1), value))
of_a_node = os.path.join(folder, "node.cfg")
with open(of_a_node, "w") as file:
    file.writelines(lines)
log = os.open(os.path.join(folder, "node.log"), os.O_CREAT | os.O_WRONLY | os.O_APPEND)
os.dup2(log, 2)
binary = os.environ["VIVARIUM"]
os.execv(binary, [binary, "node", "--config", of_a_node])
