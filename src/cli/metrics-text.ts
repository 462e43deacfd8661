// A guard's counters in Prometheus's text format (version 0.0.4).
import type { PortGuardStats } from '../port-guard/guard-port.js'

/** The content type of this format. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Writes one metric family per paragraph. */
export function metricsText(stats: PortGuardStats): string {
  const by = (label: string, counts: Readonly<Record<string, number>>): [string, number][] =>
    Object.entries(counts).map(([value, count]) => [`{${label}="${value}"}`, count])
  const rows: [
    name: string,
    kind: 'gauge' | 'counter',
    help: string,
    samples: [string, number][],
  ][] = [
    ['connections', 'gauge', 'Watched connections, by verdict', by('verdict', stats.verdicts)],
    ['listening', 'gauge', 'Listening sockets on the guarded ports', [['', stats.listening]]],
    ['armed', 'gauge', 'Connections on which keepalive probes idle clients', [['', stats.armed]]],
    [
      'closed_total',
      'counter',
      'Connections that were ended, by reason',
      by('reason', stats.closed),
    ],
    [
      'spared_total',
      'counter',
      'Clients that answered just before they would have been ended',
      [['', stats.spared]],
    ],
    ['failed_total', 'counter', 'Connections that the kernel refused to end', [['', stats.failed]]],
    ['dumps_total', 'counter', 'Samples of all connections at once', [['', stats.dumps]]],
    ['samples_total', 'counter', 'Samples of single connections', [['', stats.samples]]],
    ['failed_dumps_total', 'counter', 'Samples that the kernel refused', [['', stats.failedDumps]]],
  ]
  return rows
    .map(([name, kind, help, samples]) => {
      const full = `tcp_sse_port_guard_${name}`
      const lines = samples.map(([labels, value]) => `${full}${labels} ${value}\n`)
      return `# HELP ${full} ${help}\n# TYPE ${full} ${kind}\n${lines.join('')}`
    })
    .join('')
}
