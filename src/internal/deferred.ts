import { inRootContext } from './scheduling.js'

/**
 * A promise with its `resolve` and `reject` functions. It may live as long as its stream and have several waiters, so
 * it
 * keeps no AsyncLocalStorage store of a request.
 */
export class Deferred<T> {
  resolve!: (value: T | PromiseLike<T>) => void
  reject!: (error: unknown) => void
  readonly promise = inRootContext(
    () =>
      new Promise<T>((resolve, reject) => {
        this.resolve = resolve
        this.reject = reject
      }),
  )
}
