// metrics(), and what prom-client and OpenTelemetry make of it: the real packages.
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { Registry } from 'prom-client'
import { beforeEach, describe, expect, it } from 'vitest'
import { capabilities, createChannel, type Metrics, metrics } from '../../src/index.js'
import { Histogram } from '../../src/internal/counters.js'
import { evidenceWithoutKernel } from '../../src/liveness/evidence.js'
import { instrument } from '../../src/observability/otel.js'
import { registerMetrics } from '../../src/observability/prometheus.js'
import { CLOSE_REASONS } from '../../src/stream/close-info.js'
import type { LiveStream } from '../../src/stream/live-stream.js'
import { cleanup } from '../support/cleanup.js'
import { client } from '../support/memory-clients.js'
import { fillUp, opener } from '../support/open-stream.js'
import { waitFor } from '../support/wait-for.js'

let before: Metrics
/** Streams of an earlier test may still be on their way out. */
beforeEach(async () => {
  await waitFor('quiet', () => metrics().active === 0)
  before = metrics()
})

describe('metrics()', () => {
  it('counts streams, events and bytes, of open streams too', async () => {
    const { open } = await opener(cleanup)
    const { stream } = await open()
    stream.send({ data: 'a' })
    stream.send({ data: 'b' })
    stream.comment('no event')
    const now = metrics()
    expect(now.active).toBe(1)
    expect(now.opened - before.opened).toBe(1)
    expect(now.events - before.events).toBe(2)
    expect(now.bytes - before.bytes).toBe('data: a\n\ndata: b\n\n: no event\n\n'.length)
    const { bytesSent } = await stream.close()
    const after = metrics()
    expect(after.active).toBe(0)
    expect(after.closed.ended - before.closed.ended).toBe(1)
    expect(after.bytes - before.bytes).toBe(bytesSent)
    expect(after.duration.count - before.duration.count).toBe(1)
  })

  it('has every reason from the start', () => {
    expect(Object.keys(before.closed)).toEqual([...CLOSE_REASONS])
  })

  it('counts a broadcast once for each subscriber, on the short way too', async () => {
    const { open } = await opener(cleanup)
    const channel = createChannel()
    for (let i = 0; i < 2; i++) channel.subscribe((await open()).stream)
    for (let i = 0; i < 5; i++) await channel.broadcast({ data: 'x' })
    const now = metrics()
    expect(now.broadcasts - before.broadcasts).toBe(5)
    expect(now.events - before.events).toBe(10)
    await channel.close()
    expect(metrics().events - before.events).toBe(10)
  })

  it('counts what was dropped, who waits, and who fell behind', async () => {
    const { open } = await opener(cleanup)
    const idle = await open()
    expect(idle.stream.state).toBe('open')
    const { stream, client } = await open({
      detectWithin: 4_000,
      maxBufferedEvents: 1,
      onOverflow: 'drop-newest',
    })
    client.pause()
    await fillUp(stream)
    stream.send({ data: 'x'.repeat(2_000) })
    expect(stream.send({ data: 'abc' })).toBe('dropped')
    // Only the kernel tells that a window is shut.
    if (capabilities().addon) await waitFor('slow', () => metrics().stalls > before.stalls)
    const { dropped, queueDepth } = metrics()
    expect(dropped.events - before.dropped.events).toBe(stream.dropped.events)
    expect(dropped.bytes - before.dropped.bytes).toBe(stream.dropped.bytes)
    expect(queueDepth.count).toBe(2)
    expect(queueDepth.buckets[0]).toEqual({ le: 0, count: 1 })
    expect(queueDepth.sum).toBe(stream.buffered().pending)
  })

  it('counts heartbeats', async () => {
    const { open } = await opener(cleanup)
    await open({ heartbeat: 100, detectWithin: 4_000 })
    await waitFor('heartbeats', () => metrics().heartbeats >= before.heartbeats + 2)
  })

  it('never goes down while streams come and go', async () => {
    const { open } = await opener(cleanup)
    let last = metrics()
    for (let i = 0; i < 20; i++) {
      const { stream } = await open()
      stream.send({ data: 'x'.repeat(100) })
      let ended = false
      void stream.close().then(() => {
        ended = true
      })
      while (!ended) {
        const now = metrics()
        expect(now.bytes).toBeGreaterThanOrEqual(last.bytes)
        expect(now.events).toBeGreaterThanOrEqual(last.events)
        last = now
        await new Promise(setImmediate)
      }
    }
  })
})

describe('a histogram', () => {
  it('counts up to each bound, the bound included', () => {
    const histogram = new Histogram([1, 10])
    for (const value of [0, 1, 2, 10, 11]) histogram.observe(value)
    expect(histogram.snapshot()).toEqual({
      buckets: [
        { le: 1, count: 2 },
        { le: 10, count: 4 },
      ],
      count: 5,
      sum: 24,
    })
  })
})

describe('tcp-sse/prometheus', () => {
  it('shows the numbers to a scrape, and keeps to the text format', async () => {
    const registry = new Registry()
    registerMetrics(registry)
    const { open } = await opener(cleanup)
    const { stream } = await open()
    const ended = await open()
    await ended.stream.close()
    stream.send({ data: 'x' })
    const text = await registry.metrics()
    const now = metrics()
    const value = (name: string): number => {
      const line = text.split('\n').find((each) => each.startsWith(`${name} `))
      return Number(line?.slice(name.length))
    }
    expect(value('tcp_sse_streams_active')).toBe(1)
    expect(value('tcp_sse_streams_opened_total')).toBe(now.opened)
    expect(value('tcp_sse_streams_closed_total{reason="ended"}')).toBe(now.closed.ended)
    expect(value('tcp_sse_streams_closed_total{reason="peer-dead"}')).toBe(0)
    expect(value('tcp_sse_events_total')).toBe(now.events)
    expect(value('tcp_sse_sent_bytes_total')).toBe(now.bytes)
    expect(value('tcp_sse_queue_streams{le="1024"}')).toBe(1)
    expect(value('tcp_sse_queue_streams{le="+Inf"}')).toBe(1)
    expect(value('tcp_sse_stream_duration_seconds_bucket{le="1"}')).toBe(
      now.duration.buckets[0]?.count,
    )
    expect(value('tcp_sse_stream_duration_seconds_bucket{le="+Inf"}')).toBe(now.duration.count)
    expect(value('tcp_sse_stream_duration_seconds_count')).toBe(now.duration.count)
    expect(value('tcp_sse_stream_duration_seconds_sum')).toBeCloseTo(now.duration.sum / 1_000, 5)
    expect(text).toContain('# TYPE tcp_sse_stream_duration_seconds histogram')
    const format = /^(#.*|[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [-+.\de]+|)$/
    expect(text.split('\n').filter((line) => !format.test(line))).toEqual([])
  })

  it('counts on from scrape to scrape, without doubling', async () => {
    const registry = new Registry()
    registerMetrics(registry, { prefix: 'mine_' })
    const { open } = await opener(cleanup)
    await open()
    const opened = async (): Promise<number> =>
      Number(/^mine_streams_opened_total (\d+)$/m.exec(await registry.metrics())?.[1])
    const first = await opened()
    expect(await opened()).toBe(first)
    await open()
    expect(await opened()).toBe(first + 1)
  })

  it('keeps to OpenMetrics too', async () => {
    const registry = new Registry()
    registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never)
    registerMetrics(registry)
    const text = await registry.metrics()
    expect(text).toMatch(/^tcp_sse_streams_opened_total \d+$/m)
    expect(text).toMatch(/# EOF\n$/)
  })

  it('refuses options that do not exist', () => {
    expect(() => registerMetrics(new Registry(), { prefx: '' } as never)).toThrow(/prefix/)
  })
})

describe('tcp-sse/otel', () => {
  async function collect(work: () => Promise<void>, viaMeter = false) {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
    const provider = new MeterProvider({ readers: [reader] })
    cleanup.push(() => void provider.shutdown())
    const stop = instrument(viaMeter ? provider.getMeter('an application') : provider)
    await work()
    await reader.forceFlush()
    stop()
    const [resource] = exporter.getMetrics()
    const all = resource?.scopeMetrics.flatMap(({ metrics: each }) => each) ?? []
    return (name: string) => {
      const found = all.find(({ descriptor }) => descriptor.name === `tcp_sse.${name}`)
      if (found === undefined) throw new Error(`no metric ${name}`)
      return found
    }
  }

  it('reports counters, gauges and histograms', async () => {
    const { open } = await opener(cleanup)
    const find = await collect(async () => {
      const { stream } = await open()
      stream.send({ data: 'x' })
      await stream.close()
      await open()
    })
    const now = metrics()
    const only = (name: string) => find(name).dataPoints[0]?.value
    expect(find('streams.opened').dataPointType).toBe(DataPointType.SUM)
    expect(only('streams.opened')).toBe(now.opened)
    expect(find('streams.active').dataPointType).toBe(DataPointType.GAUGE)
    expect(only('streams.active')).toBe(1)
    expect(only('events')).toBe(now.events)
    expect(only('sent')).toBe(now.bytes)
    expect(find('sent').descriptor.unit).toBe('By')
    const closed = find('streams.closed').dataPoints
    expect(closed).toHaveLength(CLOSE_REASONS.length)
    expect(closed.find(({ attributes }) => attributes.reason === 'ended')?.value).toBe(
      now.closed.ended,
    )
    const [duration] = find('stream.duration').dataPoints
    expect(duration?.attributes).toEqual({ reason: 'ended' })
    expect(duration?.value).toMatchObject({ count: 1 })
  })

  it('agrees with metrics() on how long dead peers were silent, for each cause of detection', async () => {
    const { open } = await opener(cleanup)
    const { timeToDetect: earlier } = before
    const timedOut = Object.assign(new Error('read ETIMEDOUT'), { code: 'ETIMEDOUT' })
    const find = await collect(async () => {
      // By the monitor, by the kernel, and by the kernel where nobody could look.
      const monitored = (await open()).stream as LiveStream
      monitored.onPeerDead({ ...evidenceWithoutKernel('dead'), silentFor: 7_000 })
      const { socket, stream } = await open()
      socket.destroy(timedOut)
      expect((await stream.closed).reason).toBe('peer-dead')
      const { stream: unseen } = client()
      unseen.onPeerDead({ ...evidenceWithoutKernel('dead'), silentFor: 9_000 })
    })
    const after = metrics().timeToDetect
    const [point] = find('time_to_detect').dataPoints
    const { count, sum } = (point?.value ?? {}) as { count?: number; sum?: number }
    expect(count).toBe(after.count - earlier.count)
    expect(count).toBe(capabilities().addon ? 3 : 2)
    expect((sum ?? 0) * 1_000).toBeCloseTo(after.sum - earlier.sum, 3)
  })

  it('takes a meter as well, and refuses what is neither', async () => {
    const find = await collect(async () => {}, true)
    expect(find('streams.opened').dataPoints[0]?.value).toBe(metrics().opened)
    expect(() => instrument({} as never)).toThrow(/MeterProvider/)
  })
})
