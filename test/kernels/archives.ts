// Where Debian's kernels come from: the machine's own sources, else other suites of the same mirror, in a configuration of
// apt's that nothing else sees.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const SUITES = ['bookworm', 'trixie', 'bookworm-backports', 'trixie-backports']
const SECURITY = ['bookworm-security', 'trixie-security']
const KEYS = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** A package, and the options with which apt finds it. */
export interface Found {
  readonly name: string
  readonly options: readonly string[]
}

/** The newest cloud kernel of a version such as `6.1`. */
export function findKernel(version: string, folder: string): Found {
  for (const options of [[], otherSuites(folder)]) {
    const name = newest(version, options)
    if (name !== undefined) return { name, options }
  }
  throw new Error(`apt offers no cloud kernel ${version} here`)
}

function newest(version: string, options: readonly string[]): string | undefined {
  const pattern = `^linux-image-${version.replaceAll('.', '\\.')}[.+].*cloud-amd64$`
  const args = [...options, 'search', '--names-only', pattern]
  // It fails where there are no lists at all.
  const lines = spawnSync('apt-cache', args, { encoding: 'utf8' }).stdout.split('\n')
  const names = lines.flatMap((line) => /^(linux-image-\S+) - /.exec(line)?.[1] ?? [])
  return names.sort((a, b) => compare(numbersIn(a), numbersIn(b))).at(-1)
}

const numbersIn = (name: string): number[] => (name.match(/\d+/g) ?? []).map(Number)

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index])
  return at < 0 ? 0 : (a[at] as number) - (b[at] ?? -1)
}

/** Options for apt with the lists of those suites; a suite that the mirror has no more is left out. */
function otherSuites(folder: string): string[] {
  for (const each of ['lists/partial', 'archives/partial']) {
    mkdirSync(join(folder, each), { recursive: true })
  }
  const signed = existsSync(KEYS) ? `[signed-by=${KEYS}] ` : ''
  const lines = mirrors().flatMap((uri) =>
    (uri.includes('security') ? SECURITY : SUITES).map(
      (suite) => `deb ${signed}${uri} ${suite} main`,
    ),
  )
  const list = join(folder, 'sources.list')
  writeFileSync(list, lines.map((line) => `${line}\n`).join(''))
  const settings = [
    `Dir::Etc::sourcelist=${list}`,
    'Dir::Etc::sourceparts=-',
    `Dir::State::lists=${join(folder, 'lists')}`,
    `Dir::Cache=${folder}`,
  ]
  const options = settings.flatMap((setting) => ['-o', setting])
  spawnSync('apt-get', [...options, 'update', '-qq'], { stdio: 'ignore' })
  return options
}

function mirrors(): string[] {
  const args = ['indextargets', '--format', '$(ORIGIN) $(REPO_URI)', 'Created-By: Packages']
  const lines = execFileSync('apt-get', args, { encoding: 'utf8' }).split('\n')
  return [...new Set(lines.flatMap((line) => /^Debian (\S+)$/.exec(line)?.[1] ?? []))]
}
