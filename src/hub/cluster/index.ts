/**
 * Channels over the workers of a `node:cluster`, or over worker threads: the primary numbers events and remembers them.
 *
 * @packageDocumentation
 */
import { systemClock } from '../../internal/clock.js'
import { shared } from '../../internal/shared.js'
import { type Check, type Checks, checkOptions, wrongType } from '../../internal/validate.js'
import type { Hub } from '../hub.js'
import { LocalHub } from '../log/local-hub.js'
import { LogKeeper } from '../log/log-keeper.js'
import { eachWorker, lineToPrimary } from './lines.js'
import { WorkerService } from './primary.js'
import { WorkerHub } from './worker.js'

export type * from '../hub.js'

/** Options of `clusterHub`. */
export interface ClusterHubOptions {
  /** Tells several hubs of one cluster apart. @defaultValue `'cluster'` */
  name?: string | undefined
}

const named: Check<string> = (value, name) => {
  if (typeof value === 'string' && value !== '') return value
  throw wrongType(name, 'a string that is not empty', value)
}
const checks: Checks<ClusterHubOptions> = { name: named }

/**
 * The hub of a cluster, or of a process with worker threads. Call it in the primary, which keeps the logs in its memory, and in each
 * worker. There is one hub of a name in a process: further calls return the same.
 *
 * A worker that dies loses nothing: its clients come back to another one and go on. When the primary dies the logs
 * are gone, and ids of before are `unknown`. A worker that takes nothing costs the primary 4 MiB at most.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`
 * @example
 * const news = createChannel({ hub: clusterHub(), name: 'news', history: { maxEvents: 1_000 } })
 */
export function clusterHub(options: ClusterHubOptions = {}): Hub {
  const { name = 'cluster' } = checkOptions(options, checks, 'ClusterHubOptions')
  const hubs = shared('cluster-hubs', () => new Map<string, Hub>())
  const hub = hubs.get(name) ?? makeHub(name, () => hubs.delete(name))
  hubs.set(name, hub)
  return hub
}

function makeHub(name: string, forget: () => void): Hub {
  const scope = `cluster:${name}`
  const line = lineToPrimary()
  const hub = line === undefined ? new PrimaryHub(name, scope) : new WorkerHub(name, scope, line)
  const close = hub.close.bind(hub)
  return Object.assign(hub, {
    close() {
      forget()
      return close()
    },
  })
}

/** The primary's hub: the logs are here, and its own channels use them like any. */
class PrimaryHub extends LocalHub {
  readonly #services = new Set<WorkerService>()
  readonly #stop: () => void

  constructor(name: string, scope: string) {
    const keeper = new LogKeeper(systemClock)
    super(keeper, scope)
    this.#stop = eachWorker((line) => {
      const service = new WorkerService(name, keeper, line)
      this.#services.add(service)
      line.onGone(() => this.#services.delete(service))
    })
  }

  override async close(): Promise<void> {
    this.#stop()
    for (const service of this.#services) service.close()
    await super.close()
  }
}
