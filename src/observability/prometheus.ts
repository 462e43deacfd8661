/**
 * `metrics()` for Prometheus, over `prom-client`.
 *
 * @packageDocumentation
 */
import {
  Counter,
  Gauge,
  Histogram,
  type OpenMetricsContentType,
  type PrometheusContentType,
  type Registry,
} from 'prom-client'
import { type Checks, checkOptions, string, wrongType } from '../internal/validate.js'
import { METRICS, type MetricRow } from './metric-table.js'
import { type HistogramSnapshot, type Metrics, metrics } from './metrics.js'

/** Options of `registerMetrics`. */
export interface PrometheusOptions {
  /** The prefix of all names. @defaultValue `'tcp_sse_'` */
  prefix?: string | undefined
}

const checks: Checks<PrometheusOptions> = {
  prefix: string,
}

/** A registry of `prom-client`, of either content type. */
export type AnyRegistry = Registry<PrometheusContentType> | Registry<OpenMetricsContentType>

/**
 * Adds the process's metrics to a registry. They are read from `metrics()` at each scrape, once for
 * all of them. Between scrapes nothing is done. docs/observability.md has the table. Values are in
 * seconds and bytes. The only labels are `reason`, `state` and `outcome`, which are fixed lists,
 * and `le`.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`. prom-client throws if the registry already has a metric
 * with one of the names
 * @example
 * import { register } from 'prom-client'
 * import { registerMetrics } from 'tcp-sse/prometheus'
 *
 * registerMetrics(register)
 * app.get('/metrics', async (req, res) => res.type(register.contentType).send(await register.metrics()))
 */
export function registerMetrics(registry: AnyRegistry, options: PrometheusOptions = {}): void {
  if (typeof registry?.registerMetric !== 'function') {
    throw wrongType('registry', 'a Registry of prom-client', registry)
  }
  const { prefix = 'tcp_sse_' } = checkOptions(options, checks, 'PrometheusOptions')
  const registers = [registry as Registry]
  for (const row of METRICS) register(row, prefix, registers)
  new SecondsHistogram(
    `${prefix}stream_duration_seconds`,
    'How long event streams had been open when they ended',
    registers,
    ({ duration }) => duration,
  )
  new SecondsHistogram(
    `${prefix}time_to_detect_seconds`,
    'For how long dead peers had been silent when they were found',
    registers,
    ({ timeToDetect }) => timeToDetect,
  )
}

function register(row: MetricRow, prefix: string, registers: Registry[]): void {
  const Kind = row.kind === 'counter' ? Counter : Gauge
  new Kind<string>({
    name: `${prefix}${nameOf(row)}`,
    help: row.help,
    labelNames: row.label === undefined ? [] : [row.label],
    registers,
    collect() {
      // A counter of prom-client cannot be set, but it can be reset.
      this.reset()
      for (const [value, labels] of row.read(now())) this.inc(labels, value)
    },
  })
}

/** Appends the unit and `_total`, as Prometheus prescribes. */
function nameOf({ name, unit, kind }: MetricRow): string {
  const words = name.split('.')
  if (unit === 'By') words.push('bytes')
  if (kind === 'counter') words.push('total')
  return words.join('_')
}

let snapshot: Metrics | undefined

/**
 * Returns a snapshot that all metrics of a scrape share: they are read in one tick, and a snapshot
 * is a pass over all streams.
 */
function now(): Metrics {
  if (snapshot === undefined) {
    snapshot = metrics()
    void Promise.resolve().then(() => {
      snapshot = undefined
    })
  }
  return snapshot
}

/**
 * A histogram whose values were already counted, in milliseconds. Histograms of prom-client count
 * themselves.
 */
class SecondsHistogram extends Histogram {
  readonly #about: { name: string; help: string }
  readonly #read: (now: Metrics) => HistogramSnapshot

  constructor(
    name: string,
    help: string,
    registers: Registry[],
    read: (now: Metrics) => HistogramSnapshot,
  ) {
    super({ name, help, registers })
    this.#about = { name, help }
    this.#read = read
  }

  override async get(): ReturnType<Histogram['get']> {
    const { buckets, count, sum } = this.#read(now())
    const { name, help } = this.#about
    const bucket = (le: number | '+Inf', value: number) => ({
      metricName: `${name}_bucket`,
      labels: { le },
      value,
      exemplar: null,
    })
    const values = [
      ...buckets.map((each) => bucket(each.le / 1_000, each.count)),
      bucket('+Inf', count),
      { metricName: `${name}_sum`, labels: {}, value: sum / 1_000 },
      { metricName: `${name}_count`, labels: {}, value: count },
    ]
    const answer = { name, help, type: 'histogram', aggregator: 'sum', values }
    // prom-client's types have a number for `type`, and require `collect` in the result.
    return answer as unknown as Awaited<ReturnType<Histogram['get']>>
  }

  /** Not in prom-client's types. `registry.metrics()` calls it if it exists. */
  getForPromString(): ReturnType<Histogram['get']> {
    return this.get()
  }
}
