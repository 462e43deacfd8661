// Guards of ports, in a process beside the servers of the claims.
import { guardPort, type PortCloseInfo, type PortGuard } from '../../src/index.js'
import { answer } from '../../src/testing/index.js'
import { block, problems } from './process.js'

/** A connection that was ended, and when: `Date.now()`. */
export interface PortClose extends PortCloseInfo {
  readonly at: number
}

const guards = new Map<number, PortGuard>()
const closes: PortClose[] = []

answer({
  /** Guards a port, once. */
  guard(port: number, detectWithin: number): void {
    if (guards.has(port)) return
    const onClose = (info: PortCloseInfo): void => void closes.push({ ...info, at: Date.now() })
    guards.set(port, guardPort({ port, detectWithin, arm: true, onClose }))
  },
  /** Those that were ended, at so many addresses. */
  closes: (addresses: readonly string[]) =>
    closes.filter(({ remoteAddress }) => addresses.includes(remoteAddress)),
  block,
  /** What went wrong beside the claims. */
  problems: () => [
    ...problems,
    ...[...guards.values()].flatMap((guard) => guard.stats().armingProblem ?? []),
  ],
})
