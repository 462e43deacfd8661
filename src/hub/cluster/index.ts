/**
 * Channels over the workers of a `node:cluster`, or over worker threads. The primary numbers events
 * and stores them.
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
  /** Distinguishes several hubs of one cluster. Not empty. @defaultValue `'cluster'` */
  name?: string | undefined
}

const named: Check<string> = (value, name) => {
  if (typeof value === 'string' && value !== '') return value
  throw wrongType(name, 'a string that is not empty', value)
}
const checks: Checks<ClusterHubOptions> = { name: named }

/**
 * Returns the hub of a cluster, or of a process with worker threads. Call it in the primary, which
 * keeps the logs in its memory, and in each worker. Each process has one hub per name: further
 * calls with the same name return the same hub.
 *
 * If a worker dies, no event is lost: its clients reconnect to another worker and resume there. If
 * the primary dies, the logs are lost, and earlier ids are `unknown`. A worker that stops reading
 * costs the primary about 4 MiB, or more if single events are large.
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

/** The primary's hub. It has the logs, and the primary's own channels use them directly. */
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
