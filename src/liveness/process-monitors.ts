// The monitors of this process: one, unless copies of this library differ in whether they have found the addon.

import { shared } from '../internal/shared.js'
import { addon } from '../native/binding.js'
import { type Monitor, sharedMonitor } from './monitor.js'

/** The one that this copy uses. Two on one socket would each put back what the other has set. */
export const processMonitor: Monitor = shared(
  addon === undefined ? 'monitor without the addon' : 'monitor',
  () => sharedMonitor,
)

/** All of them. */
export const monitors: ReadonlySet<Monitor> = shared('monitors', () => new Set<Monitor>()).add(
  processMonitor,
)
