'use strict'

/**
 * coverage.js FOLDER: prints the line coverage of lib/ and native/, with the files that are not fully covered. Fails if
 * one of them is below its threshold.
 */
const { execFileSync } = require('node:child_process')
const { readFileSync, readdirSync } = require('node:fs')
const { join, normalize, relative } = require('node:path')
const { fileURLToPath, pathToFileURL } = require('node:url')
const { mergeScriptCovs } = require('@bcoe/v8-coverage')
const { createCoverageMap } = require('istanbul-lib-coverage')
const toIstanbul = require('v8-to-istanbul')
const { transform } = require('../jest.config')

const root = process.cwd()
const folder = process.argv[2]
const thresholds = { 'lib/': 95, 'native/': 90 }

/** Counts the lines of each file of lib/: run by Jest, and run from dist/ by the programs that tests start. */
async function ofLib() {
  const counts = countsByPath()
  const map = createCoverageMap()
  for (const path of filesIn(join(root, 'lib'), '.ts')) {
    const transformed = transformedByJest(path)
    if (hasTypesAlone(transformed.source)) continue
    const functions = counts.get(path) ?? neverRun(transformed.source)
    map.merge(await linesOf(path, functions, transformed))
  }
  for (const path of filesIn(join(root, 'dist'), '.js')) {
    const functions = counts.get(path)
    if (functions !== undefined) map.merge(await linesOf(path, functions))
  }
  return map.files().map((path) => {
    const { total, covered } = map.fileCoverageFor(path).toSummary().lines
    return { name: relative(root, path), total, missed: total - covered, where: '' }
  })
}

async function linesOf(path, functions, sources) {
  const converter = toIstanbul(path, 0, sources)
  await converter.load()
  converter.applyCoverage(functions)
  const lines = converter.toIstanbul()
  converter.destroy()
  return lines
}

function filesIn(directory, extension) {
  return readdirSync(directory, { recursive: true })
    .filter((name) => name.endsWith(extension))
    .map((name) => join(directory, name))
}

/** Returns the code that Jest ran, including its source map. */
function transformedByJest(path) {
  const [[module, options]] = Object.values(transform)
  const originalSource = readFileSync(path, 'utf8')
  const { process } = require(module).createTransformer(options)
  const { code: source } = process(originalSource, path, { supportsStaticESM: false })
  return { source, originalSource }
}

/** Whether a file has no code to run: besides comments, it contains only the header of every module. */
function hasTypesAlone(source) {
  const code = source.replaceAll(/\/\*[^]*?\*\/|\/\/.*$/gm, '').replaceAll(/\s/g, '')
  return code === '"usestrict";Object.defineProperty(exports,"__esModule",{value:true});'
}

function neverRun({ length }) {
  const ranges = [{ startOffset: 0, endOffset: length, count: 0 }]
  return [{ functionName: '(empty-report)', isBlockCoverage: true, ranges }]
}

/** Returns V8's counts of all processes, by file. Jest runs each file of lib/ again for every test file. */
function countsByPath() {
  const ours = [join(root, 'lib/'), join(root, 'dist/')].map((path) => pathToFileURL(path).href)
  const scripts = new Map()
  for (const file of readdirSync(join(folder, 'counts'))) {
    for (const script of resultIn(join(folder, 'counts', file))) {
      if (!ours.some((start) => script.url.startsWith(start))) continue
      const known = scripts.get(script.url)
      if (known === undefined) scripts.set(script.url, [script])
      else known.push(script)
    }
  }
  return new Map(
    [...scripts].map(([url, all]) => [fileURLToPath(url), mergeScriptCovs(all).functions]),
  )
}

/** Returns no counts for a process that was killed while it wrote them, as for one that was killed earlier. */
function resultIn(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).result
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    console.log(`${file} is incomplete: ${error.message}`)
    return []
  }
}

/** Counts the lines of each file of native/. A line of a template or a header counts once. */
function ofNative() {
  const objects = join(folder, 'objects')
  const notes = readdirSync(objects, { recursive: true }).filter((name) => name.endsWith('.gcno'))
  const counts = new Map()
  for (const note of notes) {
    const json = execFileSync('gcov', ['--json-format', '--stdout', join(objects, note)])
    for (const { file: path, lines } of JSON.parse(json).files) {
      const file = normalize(path)
      if (!file.startsWith('native/')) continue
      const known = counts.get(file) ?? new Map()
      counts.set(file, known)
      for (const { line_number: line, count } of lines) {
        known.set(line, Math.max(known.get(line) ?? 0, count))
      }
    }
  }
  return [...counts].map(([name, lines]) => {
    const missed = [...lines].filter(([, count]) => count === 0).map(([line]) => line)
    return {
      name,
      total: lines.size,
      missed: missed.length,
      where: missed.toSorted((a, b) => a - b).join(' '),
    }
  })
}

function judge(what, files) {
  const total = files.reduce((sum, file) => sum + file.total, 0)
  const missed = files.reduce((sum, file) => sum + file.missed, 0)
  const percent = (100 * (total - missed)) / total
  for (const { name, total, missed, where } of files) {
    if (missed > 0) console.log(`  ${name}: ${missed} of ${total} lines missed ${where}`)
  }
  const wanted = thresholds[what]
  console.log(`${what}: ${percent.toFixed(2)} % of ${total} lines (at least ${wanted} % wanted)`)
  return percent >= wanted
}

async function main() {
  const results = [judge('lib/', await ofLib()), judge('native/', ofNative())]
  process.exitCode = results.every(Boolean) ? 0 : 1
}

void main()
