// The connections between a primary and its workers: the IPC channels of node:cluster, and the
// ports of worker threads.
import cluster, { type Worker as ClusterWorker } from 'node:cluster'
import process from 'node:process'
import { isMainThread, parentPort, type Worker as Thread } from 'node:worker_threads'
import type { Line } from './messages.js'

/** The connection to the primary; `undefined` in the primary itself. */
export function lineToPrimary(): Line | undefined {
  if (!isMainThread && parentPort !== null) return lineToMainThread(parentPort)
  return cluster.isWorker ? lineOfProcess() : undefined
}

/**
 * Calls back with the connection to each worker and thread, existing and future. Returns a function
 * that stops this.
 */
export function eachWorker(callback: (line: Line) => void): () => void {
  const onFork = (worker: ClusterWorker): void => callback(lineToWorker(worker))
  const onThread = (thread: Thread): void => callback(lineToThread(thread))
  for (const worker of Object.values(cluster.workers ?? {})) if (worker) onFork(worker)
  cluster.on('fork', onFork)
  process.on('worker', onThread)
  return () => {
    cluster.off('fork', onFork)
    process.off('worker', onThread)
  }
}

function lineOfProcess(): Line {
  return {
    send(envelope, failed) {
      process.send?.(envelope, undefined, undefined, (error) => error && failed(error))
    },
    onMessage(listener) {
      process.on('message', listener)
      return () => void process.off('message', listener)
    },
    onGone(listener) {
      process.once('disconnect', listener)
      return () => void process.off('disconnect', listener)
    },
  }
}

function lineToWorker(worker: ClusterWorker): Line {
  return {
    send(envelope, failed) {
      if (!worker.isConnected()) return failed(new Error('The worker has disconnected.'))
      worker.process.send(envelope as object, undefined, undefined, (error) => {
        if (error) failed(error)
      })
    },
    onMessage(listener) {
      worker.on('message', listener)
      return () => void worker.off('message', listener)
    },
    onGone(listener) {
      worker.once('disconnect', listener)
      return () => void worker.off('disconnect', listener)
    },
  }
}

function lineToMainThread(port: NonNullable<typeof parentPort>): Line {
  return {
    send: (envelope) => port.postMessage(envelope),
    onMessage(listener) {
      port.on('message', listener)
      // A listener keeps the thread alive. The hub alone must not.
      port.unref()
      return () => void port.off('message', listener)
    },
    onGone(listener) {
      port.once('close', listener)
      return () => void port.off('close', listener)
    },
  }
}

function lineToThread(thread: Thread): Line {
  return {
    send: (envelope) => thread.postMessage(envelope),
    onMessage(listener) {
      thread.on('message', listener)
      return () => void thread.off('message', listener)
    },
    onGone(listener) {
      thread.once('exit', listener)
      return () => void thread.off('exit', listener)
    },
  }
}
