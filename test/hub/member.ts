// A cluster's worker, or a thread: holds its hub against the contract, and says what failed.
import cluster from 'node:cluster'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { clusterHub } from '../../src/hub/cluster/index.js'
import { hubContract } from '../../src/testing/index.js'

const failures: string[] = []
let passed = 0

async function hold(): Promise<void> {
  const cases: [string, () => Promise<void>][] = []
  const test = (title: string, run: () => Promise<void>): void => void cases.push([title, run])
  hubContract({ name: 'member', test, openHub: clusterHub })
  for (const [title, run] of cases) {
    try {
      await run()
      passed += 1
    } catch (error) {
      failures.push(`${title}: ${error instanceof Error ? error.stack : error}`)
    }
  }
}

if (!isMainThread) {
  // The hub's port alone keeps no thread alive.
  const busy = setInterval(() => {}, 1_000)
  void hold().then(() => {
    clearInterval(busy)
    parentPort?.postMessage({ passed, failures })
  })
} else if (cluster.isPrimary) {
  clusterHub()
  const tell = (from: string) => (message: { passed?: number }) => {
    if (message.passed !== undefined) process.send?.({ from, ...message })
  }
  cluster.fork().on('message', tell('worker'))
  // A thread has no loader of its own for TypeScript.
  const start = `import('tsx/esm/api').then(({ register }) => {
    register()
    return import(${JSON.stringify(import.meta.url)})
  })`
  new Worker(start, { eval: true }).on('message', tell('thread'))
  process.on('disconnect', () => process.exit())
} else {
  void hold().then(() => process.send?.({ passed, failures }))
}
