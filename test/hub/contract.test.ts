// Engines in memory against the contract: in one process, and over a line between a primary and its workers.
import { describe, test } from 'vitest'
import { WorkerService } from '../../src/hub/cluster/primary.js'
import { WorkerHub } from '../../src/hub/cluster/worker.js'
import { LocalHub } from '../../src/hub/log/local-hub.js'
import { LogKeeper } from '../../src/hub/log/log-keeper.js'
import { systemClock } from '../../src/internal/clock.js'
import { hubContract } from '../../src/testing/index.js'
import { linePair } from '../support/line-pair.js'

/** Hubs of one process that share their logs: closing one must not close the others'. */
class SharedKeeper extends LogKeeper {
  override close(): void {}
}

describe('hubs in memory', () => {
  const keeper = new SharedKeeper(systemClock)
  hubContract({ name: 'local', test, openHub: () => new LocalHub(keeper) })
  hubContract({
    name: 'cluster, over a line in memory',
    test,
    openHub() {
      const [ofPrimary, ofWorker] = linePair()
      new WorkerService('cluster', keeper, ofPrimary)
      return new WorkerHub('cluster', 'cluster:cluster', ofWorker)
    },
  })
})
