import { inRootContext } from './scheduling.js'

/**
 * A promise with its resolver outside. Several may wait for one, and it can be as old as its stream: so it keeps no request's
 * AsyncLocalStorage store.
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
