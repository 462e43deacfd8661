// Says what is in the way of publishing, a sentence each: `npm run release:check`. npm runs it before `npm publish`
// (prepublishOnly), so that nothing else can be published.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isStale, prebuiltPath, readManifest, root, say } from './lib.mjs'
import { faultsOf, targets } from './portable.mjs'

/**
 * What is in the way, from what is known of the checkout; empty where nothing is.
 *
 * `checkout` is `{ head, tags, changes, passed }`: the commit, the tags on it, `git status --porcelain`, and the commit that
 * `.ci/run` has passed for. `prebuilds` are the faults of each platform's addon, by platform.
 */
export function problems({ manifest, changelog, checkout, prebuilds }) {
  const { version, repository, publishConfig } = manifest
  const found = []
  if (checkout.changes !== '') found.push('The working tree has changes that are not committed.')
  if (!checkout.tags.includes(`v${version}`)) found.push(`This commit has no tag v${version}.`)
  if (checkout.passed !== checkout.head) found.push('.ci/run has not passed for this commit.')
  if (sectionOf(changelog, `${version}] - \\d{4}-\\d\\d-\\d\\d`) === '') {
    found.push(`CHANGELOG.md has no dated section with text for ${version}.`)
  }
  if (sectionOf(changelog, 'Unreleased]') !== '') {
    found.push('CHANGELOG.md has text under Unreleased: it belongs to this version.')
  }
  // npm compares it with where the workflow runs.
  if (typeof repository?.url !== 'string') {
    found.push('package.json names no repository.url, which provenance is about.')
  }
  if (publishConfig?.provenance !== true) found.push('publishConfig.provenance is not true.')
  for (const [platform, faults] of Object.entries(prebuilds)) {
    for (const fault of faults) found.push(`The addon for ${platform}: ${fault}.`)
  }
  return found
}

/** The text of a section of the changelog, without its headings; `''` if there is no such section. */
function sectionOf(changelog, heading) {
  const [, text = ''] =
    new RegExp(`^## \\[${heading}\\n([\\s\\S]*?)(?=^## |$(?![\\s\\S]))`, 'm').exec(changelog) ?? []
  return text.replace(/^### .*$/gm, '').trim()
}

function git(...args) {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim()
}

function readIfThere(path) {
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined
}

function prebuildFaults({ arch, machine }) {
  const file = prebuiltPath(arch)
  if (!existsSync(file)) return [`${relative(root, file)} is missing (npm run prebuilds -- --all)`]
  if (isStale([file], ['native', 'CMakeLists.txt'])) return ['it is older than its sources']
  return faultsOf(file, machine)
}

function main() {
  const found = problems({
    manifest: readManifest(),
    changelog: readFileSync(join(root, 'CHANGELOG.md'), 'utf8'),
    checkout: {
      head: git('rev-parse', 'HEAD'),
      tags: git('tag', '--points-at', 'HEAD').split('\n'),
      changes: git('status', '--porcelain'),
      passed: readIfThere(join(root, 'node_modules', '.cache', 'tcp-sse', 'passed')),
    },
    prebuilds: Object.fromEntries(
      targets.map((target) => [`linux-${target.arch}`, prebuildFaults(target)]),
    ),
  })
  for (const problem of found) say(problem)
  if (found.length === 0) say('nothing is in the way of publishing.')
  process.exitCode = found.length === 0 ? 0 : 1
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main()
