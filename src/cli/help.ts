// The texts of `--help`.

export const HELP = `tcp-sse: finds vanished clients of any TCP server

Usage: tcp-sse <command> [options]

  guard    ends connections of a port whose clients have vanished
  top      shows which clients are alive, slow, congested, half-closed or dead; ends nothing
  doctor   shows what works on this system, and why the rest does not

'tcp-sse <command> --help' lists the options, 'tcp-sse --version' prints the version. Manual:
docs/outside.md.
`

const PORT_OPTIONS = `  -p, --port PORT            the server's port; for several, use commas or repeat --port
  -d, --detect-within TIME   a silent client is found within TIME + 1 s (default 30s)
      --address ADDRESS      only these clients: addresses or networks, as in 10.0.0.0/8
      --except ADDRESS       not these clients`

export const GUARD_HELP = `Usage: tcp-sse guard --port PORT [options]

Watches the connections of a port, in any process, and ends those whose clients have vanished. The
server gets an ordinary connection error. Runs in the server's network namespace until SIGINT or
SIGTERM. Requires Linux and CAP_NET_ADMIN.

${PORT_OPTIONS}
      --stall-timeout TIME   also ends clients that answer but take no byte for TIME (default off)
      --arm                  lets the kernel probe idle clients: sets keepalive on the server's
                             sockets. Requires CAP_SYS_PTRACE (and CAP_DAC_READ_SEARCH unless
                             it runs as root) and the server's PID namespace
      --dry-run              reports what would be ended, and ends nothing
      --json                 prints one JSON object per line
      --metrics-port PORT    serves Prometheus metrics at http://HOST:PORT/metrics
      --metrics-host HOST    the address for that (default 127.0.0.1)
  -h, --help                 prints this text

Exit status: 0 after a signal, 1 if it cannot work here, 2 for a mistake in the command line.
`

export const TOP_HELP = `Usage: tcp-sse top --port PORT [options]

Shows the clients of a port, those in trouble first. Requires Linux, but no privileges.

${PORT_OPTIONS}
      --interval TIME        time between two tables (default 1s)
      --count N              ends after N tables (default: endless on a terminal, otherwise 1)
      --json                 prints one JSON array per table, on one line
  -h, --help                 prints this text

Exit status: 0, 1 if it cannot work here, 2 for a mistake in the command line.
`

export const DOCTOR_HELP = `Usage: tcp-sse doctor [options]

Shows which kernel features, socket options, privileges and limits are available, and what follows
for the detection of vanished clients.

  -p, --port PORT            also checks for a server on this port
  -d, --detect-within TIME   the time to check for (default 30s)
      --json                 prints one JSON array
  -h, --help                 prints this text

Exit status: 0 if nothing is missing, 1 otherwise, 2 for a mistake in the command line.
`
