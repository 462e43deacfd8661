// The monitor on a fake clock and a fake kernel: pace, endings, and what is left afterwards.
import { Socket } from 'node:net'
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Kernel } from '../../src/liveness/kernel.js'
import { Monitor } from '../../src/liveness/monitor.js'
import { type MonitorPlan, monitorPlan, planFor } from '../../src/liveness/plan.js'
import type { Verdict } from '../../src/liveness/verdict.js'
import type { Watcher, WatchOptions } from '../../src/liveness/watch.js'
import type { KernelOption, KernelSettings } from '../../src/tcp/kernel-settings.js'
import type { Table } from '../../src/tcp/record.js'
import { FakeClock } from '../support/fake-clock.js'
import { healthy as idle, type Numbers, write } from '../support/readings.js'

/** Just opened: nothing was sent yet. */
const healthy: Numbers = {
  ...idle,
  lastAckReceived: 0,
  lastDataReceived: 0,
  dataSegmentsSent: 0,
  bytesAcked: 0,
}

class FakeKernel implements Kernel {
  samples = 0
  sweeps = 0
  readonly resets: Socket[] = []
  answer: (socket: Socket) => Numbers | undefined = () => ({})
  pendingBytes = 0
  sample(sockets: readonly Socket[], table: Table, starts: readonly number[]): void {
    this.sweeps += 1
    this.samples += sockets.length
    for (const [index, socket] of sockets.entries()) {
      const answer = this.answer(socket)
      write(table, starts[index] as number, answer ? { ...healthy, ...answer } : { errno: 95 })
    }
  }
  /** All that was ever set, in order. */
  readonly changes: [Socket, KernelOption, number][] = []
  /** Calls that set something. */
  crossings = 0
  /** What is in force before anything is set. */
  readonly initial: Partial<Record<KernelOption, number>> = {
    SO_KEEPALIVE: 0,
    TCP_KEEPIDLE: 7_200,
    TCP_KEEPINTVL: 75,
    TCP_KEEPCNT: 9,
    TCP_NOTSENT_LOWAT: 7,
    TCP_RTO_MAX_MS: 120_000,
    TCP_USER_TIMEOUT: 1_234,
  }
  /** How often keepalive, and the monitor, have asked a peer that has been silent for so long. */
  probesOf(socket: Socket, silence: number, idle: number, interval: number): number {
    const own = silence < idle ? 0 : 1 + Math.floor((silence - idle) / interval)
    const times = (option: KernelOption): number =>
      this.changes.filter(([on, each]) => on === socket && each === option).length
    // TCP_KEEPIDLE by itself asks.
    return own + times('TCP_KEEPIDLE') - times('TCP_KEEPINTVL')
  }
  /** The values that an option was set to. */
  valuesOf(option: KernelOption): number[] {
    return this.changes.filter(([, each]) => each === option).map(([, , value]) => value)
  }
  /** The value in force. */
  valueOf(socket: Socket, option: KernelOption): number | undefined {
    const set = this.changes.filter(([on, each]) => on === socket && each === option)
    return set.at(-1)?.[2] ?? this.initial[option]
  }
  exchange(socket: Socket, settings: KernelSettings): KernelSettings {
    const before = settings.map(([option]) => [option, this.valueOf(socket, option) ?? -1] as const)
    this.set(socket, settings)
    return before
  }
  set(socket: Socket, settings: KernelSettings): void {
    this.crossings += 1
    for (const [option, value] of settings) this.changes.push([socket, option, value])
  }
  get userTimeouts(): number[] {
    return this.valuesOf('TCP_USER_TIMEOUT')
  }
  progress = (): number => -this.pendingBytes
  reset(socket: Socket): void {
    this.resets.push(socket)
    socket.destroy()
  }
  pending = (): number => this.pendingBytes
  written = Number.NaN
  activity: (socket: Socket) => number = () => this.written
}

const plan = planFor(6_000, {}, true)

/** Data in flight that has gone unanswered for so long, retransmitted every second. */
const unanswered = (age: number): Numbers => ({
  unackedSegments: 1,
  retransmits: Math.max(0, Math.floor(age / 1_000)),
  lastAckReceived: Math.max(0, age),
  lastDataReceived: 1e9,
})

/** A watch that one watcher asks for, with what is its own. */
function watch(
  monitor: Monitor,
  socket: Socket,
  plan: MonitorPlan,
  { ...watcher }: Omit<Watcher, 'plan'>,
  { notSentLowWater, ...options }: WatchOptions & Pick<Watcher, 'notSentLowWater'> = {},
): { readonly shared: boolean; readonly verdict: Verdict; release(): void } {
  const whole = { ...watcher, plan, notSentLowWater }
  const watch = monitor.watch(socket, whole, options)
  return {
    get shared() {
      return watch.shared
    },
    get verdict() {
      return watch.verdict
    },
    release: () => watch.release(whole),
  }
}

describe('Monitor', () => {
  let clock: FakeClock
  let kernel: FakeKernel
  let monitor: Monitor
  let calls: string[]
  let stalls: number[]
  beforeEach(() => {
    clock = new FakeClock()
    kernel = new FakeKernel()
    monitor = new Monitor(clock, kernel)
    calls = []
    stalls = []
  })
  const watcher = (release?: () => { release(): void }): Omit<Watcher, 'plan'> => ({
    onPeerDead: () => void calls.push('dead'),
    onPeerGone: () => {
      calls.push('gone')
      release?.().release()
    },
    onSample: (_now, stalledFor) => {
      stalls.push(stalledFor)
      return Number.POSITIVE_INFINITY
    },
  })

  /** The samples of a socket from now on: when each was said to be taken, and when it was. */
  const samplesOf = (monitor: Monitor): readonly [said: number, taken: number][] => {
    const samples: [number, number][] = []
    const onSample = (now: number): number => {
      samples.push([now, clock.time])
      return Number.POSITIVE_INFINITY
    }
    watch(monitor, new Socket(), plan, { ...watcher(), onSample })
    return samples
  }

  it('samples again if the process was interrupted between its clock and the kernel', () => {
    const interruptions = [5_000, 40]
    kernel.answer = () => {
      if (clock.time > 2_000) clock.time += interruptions.pop() ?? 0
      return unanswered(0)
    }
    const samples = samplesOf(monitor)
    clock.run(9_000)
    expect(interruptions).toEqual([])
    expect(samples.length).toBeGreaterThan(3)
    for (const [now, made] of samples) expect(now).toBe(made)
  })

  it('dates a sample when it was taken, also if the kernel needed time before it', () => {
    const slow = Object.assign(kernel, {
      begin: () => {
        clock.time += 100
      },
    })
    slow.answer = () => unanswered(clock.time)
    const monitor = new Monitor(clock, slow)
    const samples = samplesOf(monitor)
    clock.run(3_000)
    expect(samples.length).toBeGreaterThan(1)
    for (const [now, made] of samples) expect(now).toBe(made)
  })

  it('dates a sample by the kernel if that knows better, and judges it now', () => {
    const AGE = 240
    const older = Object.assign(kernel, { sampledAt: () => clock.time - AGE })
    const gone = 10_000
    older.answer = () => unanswered(clock.time - AGE - gone)
    watch(new Monitor(clock, older), new Socket(), plan, watcher())
    clock.run(gone + plan.silence - 1)
    expect(calls).toEqual([])
    clock.run(gone + plan.silence + 20)
    expect(calls).toEqual(['dead'])
  })

  it('passes the number of due sockets to the kernel once per tick, before it samples', () => {
    const due: [number, number][] = []
    const telling = Object.assign(kernel, {
      begin: (count: number) => void due.push([count, kernel.samples]),
    })
    // Anything that says when it has ended can be watched, by a kernel that knows it.
    const others = new Monitor<{ readonly destroyed: boolean }>(clock, telling as never)
    for (let i = 0; i < 100; i++) others.watch({ destroyed: false }, { ...watcher(), plan })
    const samples = kernel.samples
    clock.run(plan.urgentPace + 10)
    expect(due).toEqual([[100, samples]])
    expect(kernel.samples).toBe(samples + 100)
  })

  it("samples at all due sockets with one sweep, at the plan's pace, and has no timer without sockets", () => {
    const watches = [new Socket(), new Socket()].map((each) =>
      watch(monitor, each, plan, watcher()),
    )
    const before = { sweeps: kernel.sweeps, samples: kernel.samples }
    clock.run(6_000)
    const sweeps = kernel.sweeps - before.sweeps
    expect(kernel.samples - before.samples).toBe(2 * sweeps)
    expect(sweeps).toBeGreaterThanOrEqual(10)
    expect(sweeps).toBeLessThanOrEqual(13)
    for (const each of watches) each.release()
    expect(monitor.size).toBe(0)
    expect(clock.armed).toBe(false)
    for (const [option, value] of Object.entries(kernel.initial)) {
      if (option !== 'TCP_NOTSENT_LOWAT')
        expect(kernel.valuesOf(option as KernelOption).slice(-2)).toEqual([value, value])
    }
  })

  it('closes a silent peer once, within the budget, and resets it', () => {
    const socket = new Socket()
    let silentFrom = Number.POSITIVE_INFINITY
    kernel.answer = () => (clock.time < silentFrom ? {} : unanswered(clock.time - silentFrom))
    watch(monitor, socket, plan, watcher())
    clock.run(3_000)
    silentFrom = 3_000
    clock.run(3_000 + plan.detectWithin - plan.urgentPace)
    expect(calls).toEqual([])
    clock.run(3_000 + plan.detectWithin + 500)
    expect(calls).toEqual(['dead'])
    expect(kernel.resets).toEqual([socket])
    clock.run(60_000)
    expect([calls.length, monitor.size, clock.armed]).toEqual([1, 0, false])
  })

  it("keeps TCP_USER_TIMEOUT ahead of the kernel's clocks, with few calls", () => {
    let look: Numbers = {}
    kernel.answer = () => look
    watch(monitor, new Socket(), plan, watcher())
    clock.run(1_000)
    const lead = plan.userTimeout as number
    expect(kernel.userTimeouts).toEqual([lead])
    // The window has just held something up for the first time: it may have been shut since the last look.
    look = { unsent: 5_000, windowLimited: 300 }
    const from = clock.time
    for (let minute = 1; minute <= 60; minute++) {
      clock.run(from + minute * 60_000)
      expect(kernel.userTimeouts.at(-1)).toBeGreaterThanOrEqual(clock.time - from + lead - 500)
    }
    expect(kernel.userTimeouts.length).toBeLessThan(130)
    expect(calls).toEqual([])
  })

  it("raises TCP_RTO_MAX_MS with the path's round trip, and lowers it when that has become short", () => {
    let look: Numbers = {}
    kernel.answer = () => look
    watch(monitor, new Socket(), plan, watcher())
    clock.run(1_000)
    const begin = plan.retransmitMax
    const maxima = (): number[] => kernel.valuesOf('TCP_RTO_MAX_MS')
    expect(maxima()).toEqual([begin])
    look = { rtt: 1_400, rttVariation: 100 }
    clock.run(3_000)
    expect(maxima()).toEqual([begin, 3_600])
    look = {}
    clock.run(6_000)
    expect(maxima()).toEqual([begin, 3_600, begin])
  })

  it('waits for a path whose round trip is longer than D', () => {
    const socket = new Socket()
    kernel.answer = () => ({ ...unanswered(clock.time), rtt: 9_000, rttVariation: 500 })
    watch(monitor, socket, plan, watcher())
    clock.run(12_000)
    expect(calls).toEqual([])
    clock.run(20_000)
    expect(calls).toEqual(['dead'])
  })

  it('takes what was acknowledged from the sample, not from what a watcher writes in the same tick', () => {
    const [first, second] = [new Socket(), new Socket()]
    const handed = new Map([
      [first, 0],
      [second, 1_000],
    ])
    const counting = Object.assign(kernel, { handed: (socket: Socket) => handed.get(socket) ?? 0 })
    let isReported = true
    counting.answer = (socket) =>
      isReported || socket === first ? { outq: 400, unackedSegments: 1 } : undefined
    const monitor = new Monitor(clock, counting)
    const write = (): number => {
      handed.set(second, 5_000)
      return clock.time + plan.urgentPace
    }
    monitor.watch(first, { ...watcher(), plan, onSample: write })
    const acknowledged: (number | undefined)[] = []
    const watched = monitor.watch(second, {
      ...watcher(),
      plan,
      onSample: () => acknowledged.push(watched.acknowledged) && clock.time + plan.urgentPace,
    })
    const sample = (): void => {
      watched.requestSample()
      clock.run(clock.time + plan.urgentPace)
    }
    clock.run(plan.urgentPace + 10)
    expect(acknowledged).toEqual([600])
    sample()
    expect(acknowledged.at(-1)).toBe(4_600)
    isReported = false
    sample()
    expect(acknowledged.at(-1)).toBeNaN()
    isReported = true
    sample()
    expect(acknowledged.at(-1)).toBe(4_600)
    counting.answer = () => ({ state: 7, outq: 0 })
    sample()
    expect(watched.acknowledged).toBeNaN()
  })

  it("sees at the next check what one watcher writes to another's socket in the same tick", () => {
    const [first, second] = [new Socket(), new Socket()]
    let written = 5
    kernel.activity = (socket) => (socket === second ? written : 5)
    const slow = planFor(30_000, {}, true)
    const write: Omit<Watcher, 'plan'> = {
      ...watcher(),
      onSample: () => {
        if (written === 5) written = 6
        return Number.POSITIVE_INFINITY
      },
    }
    watch(monitor, first, slow, write)
    watch(monitor, second, slow, watcher())
    clock.run(slow.urgentPace + 10)
    expect(written).toBe(6)
    const checkedAt: Socket[] = []
    const { sample } = kernel
    kernel.sample = (sockets, table, starts) => {
      checkedAt.push(...sockets)
      return sample.call(kernel, sockets, table, starts)
    }
    clock.run(slow.urgentPace + slow.checkPace + 500)
    expect(checkedAt).toEqual([second])
  })

  it('does not count the time for which the event loop was blocked as a stall', () => {
    kernel.answer = () => undefined
    kernel.pendingBytes = 100
    watch(monitor, new Socket(), plan, watcher())
    clock.run(1_000)
    const before = stalls.at(-1) as number
    // The tick that is due comes 30 s late.
    clock.block(30_000)
    clock.run(clock.time + 10)
    expect(stalls.at(-1)).toBeLessThan(before + 1_000)
  })

  it('sets all that a plan asks for with one call, and puts all of it back with another', () => {
    const own = watch(monitor, new Socket(), plan, watcher(), { notSentLowWater: 65_536 })
    expect(kernel.crossings).toBe(1)
    expect(kernel.changes.map(([, option]) => option).sort()).toEqual(
      Object.keys(kernel.initial).sort(),
    )
    clock.run(5_000)
    expect(kernel.crossings).toBe(1)
    own.release()
    expect(kernel.crossings).toBe(2)
    const put = kernel.changes.slice(-Object.keys(kernel.initial).length)
    expect(Object.fromEntries(put.map(([, option, value]) => [option, value]))).toEqual(
      kernel.initial,
    )
  })

  it("remembers what an option was that only a later watcher's plan sets, and puts it back", () => {
    const socket = new Socket()
    const plain = planFor(40_000, { userTimeout: false }, false)
    const first = watch(monitor, socket, plain, watcher())
    expect(kernel.userTimeouts).toEqual([])
    const second = watch(monitor, socket, plan, watcher())
    expect(kernel.userTimeouts).toEqual([plan.userTimeout])
    second.release()
    expect(kernel.userTimeouts).toEqual([plan.userTimeout, 1_234])
    first.release()
    expect(kernel.valueOf(socket, 'TCP_RTO_MAX_MS')).toBe(120_000)
    expect(kernel.valueOf(socket, 'TCP_KEEPIDLE')).toBe(7_200)
  })

  it('leaves Node the time of one sample to notice a close, then reports it', () => {
    const socket = new Socket()
    watch(monitor, socket, plan, watcher())
    clock.run(1_000)
    kernel.answer = () => ({ state: 8 })
    clock.run(1_250)
    expect(calls).toEqual([])
    clock.run(2_500)
    expect(calls).toEqual(['gone'])
    expect(socket.destroyed).toBe(true)
  })

  it('counts a stall only while bytes wait and none is acknowledged', () => {
    let acked = 0
    kernel.answer = () => ({ unsent: 10, bytesAcked: acked })
    watch(monitor, new Socket(), plan, watcher())
    clock.run(5_000)
    expect(stalls.at(-1)).toBeGreaterThan(4_000)
    acked = 1
    clock.run(5_300)
    expect(stalls.at(-1)).toBeLessThan(400)
  })

  it("without the kernel's data, counts what leaves user space", () => {
    kernel.answer = () => undefined
    kernel.pendingBytes = 100
    watch(monitor, new Socket(), plan, watcher())
    clock.run(5_000)
    expect(stalls.at(-1)).toBeGreaterThan(4_000)
    kernel.pendingBytes = 50
    clock.run(5_600)
    expect(stalls.at(-1)).toBeLessThan(600)
  })

  it('sets no TCP_USER_TIMEOUT that could end a window which is already shut, for any later watcher', () => {
    kernel.answer = () => ({ unsent: 5_000, windowLimited: 100 })
    const socket = new Socket()
    watch(monitor, socket, plan, watcher())
    watch(monitor, socket, planFor(4_000, {}, true), watcher())
    clock.run(2_000)
    // Since when it is shut is not known.
    expect(Math.min(...kernel.userTimeouts)).toBe(2 ** 31 - 1)
  })

  it('follows the strictest plan of those who are there', () => {
    const socket = new Socket()
    const patient = planFor(40_000, {}, true)
    watch(monitor, socket, patient, watcher())
    const second = watch(monitor, socket, plan, watcher())
    const idles = (): number[] => kernel.valuesOf('TCP_KEEPIDLE')
    expect([idles(), kernel.userTimeouts]).toEqual([
      [8, 1],
      [patient.userTimeout, plan.userTimeout],
    ])
    second.release()
    expect([idles(), kernel.userTimeouts.at(-1)]).toEqual([[8, 1, 8], patient.userTimeout])
  })

  describe('a quiet socket', () => {
    const socket = () => new Socket()
    const slow = planFor(30_000, {}, true)

    it('is sampled only so often that a silent peer is found in time', () => {
      kernel.written = 5
      watch(monitor, socket(), slow, watcher())
      clock.run(1_000)
      const before = kernel.samples
      clock.run(1_000 + 10 * slow.quietPace)
      expect(kernel.samples - before).toBeLessThanOrEqual(13)
      expect(kernel.samples - before).toBeGreaterThanOrEqual(9)
    })

    it('that falls silent right after a sample is dead within D + 1 s, found by the age of its last ACK', () => {
      const idle = slow.keepAlive === false ? 0 : slow.keepAlive.idle
      for (let offset = 0; offset < slow.quietPace; offset += 700) {
        clock = new FakeClock()
        kernel = new FakeKernel()
        monitor = new Monitor(clock, kernel)
        calls = []
        kernel.written = 5
        const silentAt = 60_000 + offset
        const one = socket()
        kernel.answer = () => {
          const age = clock.time - silentAt
          const quiet = { lastAckReceived: 0, lastDataReceived: clock.time }
          if (age < 0) return quiet
          const probes = kernel.probesOf(one, age, idle, 3_000)
          return { probes, lastAckReceived: age, lastDataReceived: clock.time }
        }
        watch(monitor, one, slow, watcher())
        clock.run(silentAt + slow.detectWithin - 4_000)
        expect(calls).toEqual([])
        clock.run(silentAt + slow.detectWithin + 1_000)
        expect(calls).toEqual(['dead'])
        expect(kernel.samples).toBeLessThan(60)
      }
    })

    it('is sampled within the pace of checks after a write, and a stall counts only from then', () => {
      kernel.written = 5
      watch(monitor, socket(), slow, watcher())
      clock.run(20_000)
      const before = kernel.samples
      kernel.written = 6
      kernel.answer = () => ({ unackedSegments: 1, bytesAcked: 0 })
      clock.run(20_000 + slow.checkPace + slow.urgentPace)
      expect(kernel.samples).toBeGreaterThan(before)
      expect(stalls.at(-1)).toBeLessThanOrEqual(slow.checkPace + slow.urgentPace)
    })

    it('calls its watcher when that has asked for it, and when a further watcher comes', () => {
      kernel.written = 5
      const at: number[] = []
      const asking = (): Omit<Watcher, 'plan'> => ({
        ...watcher(),
        onSample: (now) => {
          at.push(now)
          return now + 4_000
        },
      })
      const one = socket()
      watch(monitor, one, slow, asking())
      clock.run(12_900)
      expect(at.length).toBeGreaterThanOrEqual(4)
      expect(at.length).toBeLessThanOrEqual(5)
      const before = stalls.length
      watch(monitor, one, slow, watcher())
      clock.run(14_000)
      expect(stalls.length).toBe(before + 1)
    })

    it('is sampled as usual while Node does not read, or the kernel holds something', () => {
      watch(monitor, socket(), slow, watcher())
      clock.run(1_000)
      const paused = kernel.samples
      clock.run(1_000 + 10 * slow.pace)
      expect(kernel.samples - paused).toBeGreaterThanOrEqual(9)
      kernel.written = 5
      kernel.answer = () => ({ state: 8 })
      const halfClosed: Omit<Watcher, 'plan'> = { ...watcher(), mayHalfClose: () => true }
      const other = new Monitor(clock, kernel)
      monitor = other
      watch(other, socket(), slow, halfClosed)
      const before = kernel.samples
      clock.run(30_000 + 10 * slow.pace)
      expect(kernel.samples - before).toBeGreaterThanOrEqual(9)
    })
  })

  it('keeps the lowest low-water mark that a watcher asks for, and puts the old one back', () => {
    const lowWaters = (): number[] => kernel.valuesOf('TCP_NOTSENT_LOWAT')
    const socket = new Socket()
    const without = watch(monitor, socket, plan, watcher())
    const high = watch(monitor, socket, plan, watcher(), { notSentLowWater: 300 })
    const low = watch(monitor, socket, plan, watcher(), { notSentLowWater: 200 })
    expect(lowWaters()).toEqual([300, 200])
    low.release()
    without.release()
    expect(lowWaters()).toEqual([300, 200, 300])
    high.release()
    expect(lowWaters()).toEqual([300, 200, 300, 7])
  })

  it('informs watchers once of a destroyed socket for which Node emits no event', () => {
    const socket = new Socket()
    watch(monitor, socket, plan, watcher())
    socket.destroy()
    clock.run(3_000)
    expect([calls, monitor.size, clock.armed]).toEqual([['gone'], 0, false])
  })

  describe('when a watcher acts within its callback', () => {
    const silentSocket = (): Socket => {
      const socket = new Socket()
      const since = clock.time
      kernel.answer = (asked) => (asked === socket ? unanswered(clock.time - since) : {})
      return socket
    }

    it('leaves a connection alone that it has released in the callback', () => {
      const before: number[] = []
      const only = watch(monitor, silentSocket(), plan, {
        ...watcher(),
        onVerdict: () => {
          only.release()
          before.push(kernel.userTimeouts.length)
        },
      })
      clock.run(6_000)
      expect(before).toEqual([kernel.userTimeouts.length])
    })

    it('reports the evidence of this connection, although another one is being watched', () => {
      const silences: number[] = []
      watch(monitor, silentSocket(), plan, {
        ...watcher(),
        onVerdict: () => void watch(monitor, new Socket(), plan, watcher()),
        onPeerDead: ({ silentFor }) => void silences.push(silentFor),
      })
      clock.run(7_000)
      expect(silences).toHaveLength(1)
      expect(silences[0]).toBeGreaterThanOrEqual(plan.silence - 1)
    })

    it('takes the next response on a connection for another watch than the one before', () => {
      const sockets = Array.from({ length: 100 }, () => new Socket())
      const longer = monitorPlan(60_000)
      let renewed = false
      const renew = (): void => {
        if (renewed || clock.time === 0) return
        renewed = true
        last?.release()
        watch(monitor, sockets.at(-1) as Socket, longer, watcher())
      }
      let last: { release(): void } | undefined
      for (const [index, socket] of sockets.entries()) {
        const onSample = (): number => {
          if (index === 0) renew()
          return Number.POSITIVE_INFINITY
        }
        last = watch(monitor, socket, plan, { ...watcher(), onSample })
      }
      const told = kernel.userTimeouts.length
      clock.run(2_000)
      expect(renewed).toBe(true)
      expect(kernel.userTimeouts.slice(told)).not.toContain(plan.userTimeout)
    })
  })

  it('goes on after a watcher has thrown, and the error is not lost', async () => {
    const thrown: unknown[] = []
    const before = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.once('uncaughtException', (error) => thrown.push(error))
    const problem = new Error('bug')
    const socket = new Socket()
    let times = 0
    watch(monitor, socket, plan, {
      ...watcher(),
      onSample: () => {
        times += 1
        if (times === 1) throw problem
        return Number.POSITIVE_INFINITY
      },
    })
    watch(monitor, socket, plan, watcher())
    clock.run(3_000)
    await new Promise(setImmediate)
    for (const listener of before) process.on('uncaughtException', listener)
    expect(thrown).toEqual([problem])
    expect(times).toBeGreaterThan(3)
    expect(stalls.length).toBe(times)
  })

  it('holds the event loop for its budget only: what is left of many sockets comes a turn later', () => {
    const sockets = Array.from({ length: 300 }, () => new Socket())
    for (const socket of sockets) watch(monitor, socket, plan, watcher())
    const seen = new Set<Socket>()
    const turns: number[] = []
    const { sample } = kernel
    kernel.sample = (some, table, starts) => {
      for (const socket of some) seen.add(socket)
      turns.push(some.length)
      // As slow as a thousand system calls.
      clock.time += 3
      return sample.call(kernel, some, table, starts)
    }
    const { after } = clock
    const samplesBetweenTimers: number[] = []
    clock.after = (ms, callback) =>
      after.call(clock, ms, () => {
        const before = turns.length
        callback()
        samplesBetweenTimers.push(turns.length - before)
      })
    clock.run(plan.urgentPace * 3)
    expect(seen.size).toBe(300)
    expect(Math.max(...turns)).toBeLessThan(100)
    expect(Math.max(...samplesBetweenTimers)).toBe(1)
  })

  it('keeps the bound for every D beside every other, at any moment', () => {
    const phases = fc.record({
      plans: fc.array(fc.integer({ min: 4_000, max: 60_000 }), { minLength: 1, maxLength: 6 }),
      starts: fc.array(fc.nat(3_000), { minLength: 6, maxLength: 6 }),
      silentAfter: fc.nat(10_000),
    })
    fc.assert(
      fc.property(phases, ({ plans, starts, silentAfter }) => {
        const fake = new FakeClock()
        const sockets = plans.map(() => new Socket())
        const deadAt = new Map<Socket, number>()
        const system = new FakeKernel()
        const one = new Monitor(fake, system)
        const silentFrom = 4_000 + silentAfter
        // A probe leaves within keepAlive.idle of the silence and is repeated; nothing answers.
        system.answer = (socket) => {
          const { keepAlive } = monitorPlan(plans[sockets.indexOf(socket)] as number)
          const { idle, interval } = keepAlive as { idle: number; interval: number }
          const since = fake.time - silentFrom
          if (since < idle) return { lastAckReceived: Math.max(0, since), lastDataReceived: 1e9 }
          return {
            probes: system.probesOf(socket, since, idle, interval),
            lastAckReceived: since,
            lastDataReceived: 1e9,
          }
        }
        const order = sockets
          .map((socket, index) => ({
            socket,
            plan: monitorPlan(plans[index]),
            at: starts[index] as number,
          }))
          .sort((a, b) => a.at - b.at)
        for (const { socket, plan: own, at } of order) {
          fake.run(at)
          watch(one, socket, own, {
            ...watcher(),
            onPeerDead: () => void deadAt.set(socket, fake.time - silentFrom),
          })
        }
        fake.run(silentFrom + 70_000)
        for (const [index, socket] of sockets.entries()) {
          // The reset and a busy event loop have their reserve.
          expect(deadAt.get(socket)).toBeLessThanOrEqual((plans[index] as number) + 1_000 - 250)
          expect(deadAt.get(socket)).toBeGreaterThan((plans[index] as number) / 2)
        }
      }),
      { numRuns: 200 },
    )
  })

  it("makes no call for a socket that has inherited the plan's options, and restores the given ones", () => {
    const own = watch(monitor, new Socket(), plan, watcher(), { inheritedFrom: 77 })
    clock.run(5_000)
    expect(kernel.changes).toEqual([])
    own.release()
    expect(kernel.changes.map(([, option, value]) => [option, value])).toEqual([
      ['TCP_USER_TIMEOUT', 77],
    ])
  })

  it('leaves a half-closed connection alone while all its watchers do, and still finds its peer dead', () => {
    const socket = new Socket()
    const patient = { ...watcher(), mayHalfClose: () => true }
    kernel.answer = () => ({ state: 8 })
    const first = watch(monitor, socket, plan, patient)
    const second = watch(monitor, socket, plan, patient)
    clock.run(10_000)
    expect([first.shared, first.verdict, calls]).toEqual([true, 'half-closed', []])
    second.release()
    expect(first.shared).toBe(false)
    const since = clock.time
    kernel.answer = () => ({ ...unanswered(clock.time - since), state: 8 })
    clock.run(since + plan.detectWithin + 500)
    expect([calls, kernel.resets]).toEqual([['dead'], [socket]])
  })

  it('ends a half-closed connection as soon as one watcher does not want it', () => {
    watch(monitor, new Socket(), plan, { ...watcher(), mayHalfClose: () => true })
    kernel.answer = () => ({ state: 8 })
    clock.run(3_000)
    expect(calls).toEqual([])
    watch(monitor, new Socket(), plan, watcher())
    const socket = new Socket()
    watch(monitor, socket, plan, { ...watcher(), mayHalfClose: () => true })
    watch(monitor, socket, plan, watcher())
    clock.run(6_000)
    expect(kernel.resets).toContain(socket)
  })
})
