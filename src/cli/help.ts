// What `--help` prints.

export const HELP = `tcp-sse: finds clients that have vanished, in front of any TCP server

Usage: tcp-sse <command> [options]

  guard    ends connections of a port whose clients have vanished
  top      shows who is alive, slow, congested, half-closed or dead; ends nothing
  doctor   says what works on this system, and why the rest does not

tcp-sse <command> --help has the options. Manual: docs/outside.md.
`

const PORT_OPTIONS = `  -p, --port PORT            the server's port; several with commas or --port again
  -d, --detect-within TIME   the promise: a silent client is found within TIME + 1 s (30s)
      --address ADDRESS      only these clients: addresses or networks, as in 10.0.0.0/8
      --except ADDRESS       not these clients`

export const GUARD_HELP = `Usage: tcp-sse guard --port PORT [options]

Watches the connections of a port, whichever process holds them, and ends those whose clients have
vanished: the server gets an ordinary error. Runs in the server's network namespace until SIGINT or
SIGTERM. Needs Linux and CAP_NET_ADMIN.

${PORT_OPTIONS}
      --stall-timeout TIME   also ends clients that take no byte for TIME though they answer (off)
      --arm                  lets the kernel ask idle clients: sets keepalive on the server's sockets.
                             Needs CAP_SYS_PTRACE (not as root: CAP_DAC_READ_SEARCH, too) and
                             the server's PID namespace
      --dry-run              says what would be ended, and ends nothing
      --json                 one JSON object a line
      --metrics-port PORT    Prometheus metrics at http://HOST:PORT/metrics
      --metrics-host HOST    where (127.0.0.1)
  -h, --help

Exit status: 0 after a signal, 1 where it cannot work here, 2 for a wrong command line.
`

export const TOP_HELP = `Usage: tcp-sse top --port PORT [options]

Shows the clients of a port, those in trouble first. Needs Linux, and no rights.

${PORT_OPTIONS}
      --interval TIME        between two tables (1s)
      --count N              ends after N tables (endless on a terminal, else 1)
      --json                 one JSON array a table, on one line
  -h, --help

Exit status: 0, 1 where it cannot work here, 2 for a wrong command line.
`

export const DOCTOR_HELP = `Usage: tcp-sse doctor [options]

Says what of the kernel, its options, rights and limits is there, and what follows for the promise.

  -p, --port PORT            looks at the server of a port, too
  -d, --detect-within TIME   the promise to look at (30s)
      --json                 one JSON array
  -h, --help

Exit status: 0 where everything is there that the promise needs, else 1; 2 for a wrong command line.
`
