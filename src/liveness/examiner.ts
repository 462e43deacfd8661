// Draws the conclusions from one sample of one socket: a verdict, an end, new kernel options, calls of its watchers.
import { isolated } from '../internal/rethrow.js'
import { TCP_CLOSE } from '../tcp/info.js'
import { observe } from './observe.js'
import { CLOCK_TOLERANCE } from './path.js'
import { column, isIdle } from './reading.js'
import { table } from './row.js'
import { paceOf, quietUntil, type SocketState } from './socket-state.js'
import { countStall } from './stall-clock.js'
import { judge } from './verdict.js'
import type { Watchable, Watcher } from './watch.js'

/** The time of a sample. */
export interface Moment {
  readonly now: number
  /**
   * The same without the time for which the event loop was blocked. What the client did during that time could not be
   * observed.
   */
  readonly loopTime: number
}

/**
 * Draws the conclusions from the sample that a tick has written to `watched.spare`. If its error number is not 0, the
 * kernel has reported nothing. Each watched socket has both of its readings in its own row, so a watcher that watches
 * other sockets or releases this one changes neither.
 *
 * @param activity - the kernel's `activity` at the time of the sample
 * @returns whether the connection must be ended now
 */
export function examine<S extends Watchable>(
  watched: SocketState<S>,
  activity: number,
  moment: Moment,
): boolean {
  const { now, loopTime } = moment
  // A watcher that was called earlier in this tick may have ended this watch.
  if (watched.socket.destroyed || !watched.held) return false
  watched.nextSample = now + watched.plan.pace
  watched.activity = activity
  const reading = watched.spare
  if (table.get(reading, column.errno) !== 0) {
    watched.handed = Number.NaN
    noteProgressWithoutKernel(watched, loopTime)
    reportSample(watched, moment)
    return false
  }
  const previous = watched.observed ? watched.current : undefined
  const sampledAt = watched.kernel.sampledAt?.(watched.socket) ?? now
  observe(table, previous, reading, watched.plan, sampledAt)
  watched.advance(reading)
  noteProgress(watched, previous, loopTime)
  const { verdict } = watched
  watched.verdict = judge(table, previous, reading, watched.plan, now)
  if (watched.verdict !== verdict) {
    tell(watched, (watcher) => watcher.onVerdict?.(watched.verdict, verdict))
    // A watcher may have ended the watch or begun another one.
    if (!watched.held) return false
  }
  if (watched.ended) {
    watched.nextSample = now + watched.plan.urgentPace
    // Leave Node the time of one sample to notice a close by itself, because it knows the true error.
    if (previous === undefined || table.get(previous, column.state) !== watched.get(column.state))
      return false
    tellOfClose(watched)
    return true
  }
  if (watched.verdict === 'dead') {
    const evidence = watched.evidence()
    tell(watched, (watcher) => watcher.onPeerDead(evidence))
    return true
  }
  watched.silenceBeforeClose = watched.silentFor() ?? 0
  watched.change(watched.clockSettings())
  probeAgain(watched, now)
  watched.nextSample = now + paceOf(watched, now)
  watched.deadline = quietUntil(watched)
  reportSample(watched, moment)
  return false
}

/** Notifies the watchers that a destroyed socket still has. They have not learned of its end. */
export function tellOfDestroyed(watched: SocketState<Watchable>): void {
  const evidence = watched.evidence(0)
  tell(watched, (watcher) => watcher.onPeerGone(evidence))
}

/** When the kernel gives up, it forgets what was in flight, so the sample before that counts. */
function tellOfClose(watched: SocketState<Watchable>): void {
  const evidence = watched.evidence(watched.silenceBeforeClose)
  const closed = watched.get(column.state) === TCP_CLOSE
  const gaveUp = closed && evidence.silentFor > watched.plan.silence / 2
  tell(watched, (watcher) => {
    if (gaveUp) watcher.onPeerDead(evidence)
    else watcher.onPeerGone(evidence)
  })
}

/**
 * Probes an idle peer that has left a probe unanswered sooner than keepalive would, which counts in seconds. Setting
 * the idle time restarts the timer, which fires at once if the connection has been idle for longer
 * (tcp_sock_set_keepidle_locked, since Linux 2.4).
 */
function probeAgain(watched: SocketState<Watchable>, now: number): void {
  const { plan, probedAt, kernel, socket, current } = watched
  const { keepAlive, probePace } = plan
  if (watched.get(column.probes) === 0 || !isIdle(table, current) || keepAlive === false) return
  const answeredAt = watched.get(column.answeredAt)
  // The first probe counts as unanswered only after the time of a round trip.
  const askedAt = Math.max(probedAt, answeredAt + keepAlive.idle)
  const pace = probedAt > answeredAt ? probePace : Math.max(probePace, watched.get(column.rtt) || 0)
  if (now - askedAt < pace - CLOCK_TOLERANCE) return
  watched.probedAt = now
  kernel.set(socket, [['TCP_KEEPIDLE', Math.ceil(keepAlive.idle / 1_000)]])
}

/** Notes the progress of waiting bytes, in the kernel or before it. */
function noteProgress(
  watched: SocketState<Watchable>,
  previous: number | undefined,
  loopTime: number,
): void {
  const { kernel, socket } = watched
  const waiting =
    watched.get(column.unackedSegments) > 0 ||
    watched.get(column.unsent) > 0 ||
    kernel.pending(socket) > 0
  const acked = watched.get(column.bytesAcked)
  const moved = previous === undefined || acked !== table.get(previous, column.bytesAcked)
  countStall(watched, waiting, moved, loopTime)
}

/** Without the kernel's data, only the bytes that leave user space are known. */
function noteProgressWithoutKernel(watched: SocketState<Watchable>, loopTime: number): void {
  const { kernel, socket } = watched
  const progress = kernel.progress(socket)
  countStall(watched, kernel.pending(socket) > 0, progress !== watched.progress, loopTime)
  watched.progress = progress
  watched.deadline = 0
}

function reportSample(watched: SocketState<Watchable>, { now, loopTime }: Moment): void {
  const stalledFor = loopTime - watched.progressAt
  tell(watched, (watcher) => {
    const deadline = watcher.onSample(now, stalledFor, watched.verdict, loopTime)
    watched.deadline = Math.min(watched.deadline, deadline)
    watched.nextSample = Math.min(watched.nextSample, deadline)
  })
  watched.align(now)
}

/** Calls each watcher. An error in one does not affect the others. */
function tell(watched: SocketState<Watchable>, action: (watcher: Watcher) => void): void {
  for (const watcher of watched.watchers) isolated(() => action(watcher))
}
