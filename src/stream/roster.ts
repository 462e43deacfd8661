// All live streams of the process, from where they are known anyway: a list of its own would cost each of them.
import { sharedMonitor } from '../liveness/monitor.js'
import { LiveStream } from './live-stream.js'
import { unwatched } from './unwatched.js'

/** Every stream that has not ended. Not to be kept over a turn of the event loop: the monitor's list changes. */
export function* liveStreams(): Generator<LiveStream, void, undefined> {
  for (const watcher of sharedMonitor.watchers()) if (watcher instanceof LiveStream) yield watcher
  yield* unwatched as Set<LiveStream>
}
