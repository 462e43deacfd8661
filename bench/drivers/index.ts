// The drivers by name. They are imported separately, so that a child process loads one library and
// no other.
import type { Driver } from './driver.js'

const loaders = {
  'tcp-sse': () => import('./tcp-sse.js'),
  'http-string': () => import('./http-string.js'),
  'http-buffer': () => import('./http-buffer.js'),
  'better-sse': () => import('./better-sse.js'),
  'mcp-streamable': () => import('./mcp-streamable.js'),
  'mcp-sse': () => import('./mcp-sse.js'),
  hono: () => import('./hono.js'),
  'fastify-sse': () => import('./fastify-sse.js'),
  'graphql-sse': () => import('./graphql-sse.js'),
  'express-sse': () => import('./express-sse.js'),
  'sse-channel': () => import('./sse-channel.js'),
} satisfies Record<string, () => Promise<{ driver: unknown }>>

/** A driver's name. */
export type DriverName = keyof typeof loaders

/** All of them, ours first. */
export const driverNames = Object.keys(loaders) as DriverName[]

/** Loads a driver, and with it its library. */
export async function loadDriver(name: string): Promise<Driver> {
  const load = loaders[name as DriverName]
  if (load === undefined)
    throw new Error(`no driver '${name}'; there are ${driverNames.join(', ')}`)
  const { driver } = await load()
  return driver as Driver
}
