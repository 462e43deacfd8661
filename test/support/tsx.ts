// The loader with which a child process runs TypeScript: `node --import <tsx> program.ts`.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

export const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
