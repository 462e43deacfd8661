/**
 * `metrics()` for OpenTelemetry, over `@opentelemetry/api`.
 *
 * @packageDocumentation
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type {
  Attributes,
  BatchObservableResult,
  Histogram,
  Meter,
  MeterProvider,
  Observable,
} from '@opentelemetry/api'
import { wrongType } from '../internal/validate.js'
import type { StreamMessages } from '../stream/instrumentation.js'
import { METRICS, type MetricRow } from './metric-table.js'
import { metrics } from './metrics.js'

const PREFIX = 'tcp_sse.'

/**
 * Reports the process's metrics to OpenTelemetry. Counters and gauges are read from `metrics()`
 * when the reader collects. The histograms `tcp_sse.stream.duration` and `tcp_sse.time_to_detect`
 * (seconds) are recorded as streams end, from this call on. docs/observability.md has the table.
 * The only attributes are `reason`, `state` and `outcome`, which are fixed lists, and `le`.
 *
 * @param provider - a meter provider, from which the meter `tcp-sse` is taken, or a meter
 * @returns a function that stops the reports
 * @throws {TcpSseError} `ERR_OPTION_TYPE`
 * @example
 * import { metrics } from '@opentelemetry/api'
 * import { instrument } from 'tcp-sse/otel'
 *
 * const stop = instrument(metrics.getMeterProvider())
 */
export function instrument(provider: MeterProvider | Meter): () => void {
  const meter = meterOf(provider)
  const instruments = new Map(METRICS.map((row) => [row, make(meter, row)]))
  const observables = [...instruments.values()]
  const observe = (result: BatchObservableResult<Attributes>): void => {
    const now = metrics()
    for (const [row, observable] of instruments) {
      for (const [value, labels] of row.read(now)) result.observe(observable, value, labels)
    }
  }
  meter.addBatchObservableCallback(observe, observables)
  const stopRecording = record(meter)
  return () => {
    meter.removeBatchObservableCallback(observe, observables)
    stopRecording()
  }
}

function meterOf(provider: MeterProvider | Meter): Meter {
  const { getMeter, addBatchObservableCallback } = (provider ?? {}) as Partial<
    MeterProvider & Meter
  >
  if (typeof getMeter === 'function') return (provider as MeterProvider).getMeter('tcp-sse')
  if (typeof addBatchObservableCallback === 'function') return provider as Meter
  throw wrongType('provider', 'a MeterProvider or a Meter', provider)
}

function make(meter: Meter, { name, help, kind, unit }: MetricRow): Observable<Attributes> {
  const options = unit === undefined ? { description: help } : { description: help, unit }
  const full = `${PREFIX}${name}`
  return kind === 'counter'
    ? meter.createObservableCounter(full, options)
    : meter.createObservableGauge(full, options)
}

/** OpenTelemetry has no observable histogram, so each value is recorded. */
function record(meter: Meter): () => void {
  const duration = seconds(meter, 'stream.duration', 'How long event streams had been open')
  const detect = seconds(meter, 'time_to_detect', 'For how long dead peers had been silent')
  const onClose = (message: unknown): void => {
    const { info, timeToDetect } = message as StreamMessages['tcp-sse:stream:close']
    duration.record(info.openedFor / 1_000, { reason: info.reason })
    if (timeToDetect !== undefined) detect.record(timeToDetect / 1_000)
  }
  subscribe('tcp-sse:stream:close', onClose)
  return () => void unsubscribe('tcp-sse:stream:close', onClose)
}

function seconds(meter: Meter, name: string, description: string): Histogram<Attributes> {
  const options = { description, unit: 's', advice: { explicitBucketBoundaries: BOUNDARIES } }
  return meter.createHistogram(`${PREFIX}${name}`, options)
}

/** In seconds: from the time of a detection to a stream of a day. */
const BOUNDARIES = [1, 2, 4, 6, 8, 10, 15, 20, 30, 60, 120, 300, 900, 3_600, 21_600, 86_400]
