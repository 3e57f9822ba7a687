// What PerfCascade draws of a HAR file, in a browser: its rows, page by page, each opened once.
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import { launch } from './browser.mjs'

const [, , harPath, browserPath] = process.argv
const { log } = JSON.parse(readFileSync(harPath, 'utf8'))
const errors = []

// Runs in the page: draws one page of the log after the other, opens the details of each row, and reads them.
function drawAll(log) {
  const definitions = tab =>
    [...tab.querySelectorAll('dt')].map(term => [term.textContent, term.nextElementSibling.textContent])

  function rowFacts(row, { segments }) {
    row.dispatchEvent(new MouseEvent('click'))
    const details = row.nextElementSibling
    const titles = [...details.querySelectorAll('.tab-button')].map(button => button.textContent)
    const tabs = [...details.querySelectorAll('.tab')].map(definitions)
    return {
      url: row.querySelector('.full-label title').getAttribute('text'),
      segments: segments.map(({ type, start, end, chunks }) => ({ type, start, end, chunks: chunks?.length ?? 0 })),
      entry: JSON.parse(details.querySelector('.raw-data code').textContent),
      tabs: Object.fromEntries(titles.map((title, index) => [title, tabs[index]])),
    }
  }

  function draw(number) {
    let parsed
    const chart = perfCascade.fromHar(log, { selectedPage: number, onParsed: ({ pages }) => (parsed = pages[number]) })
    document.body.replaceChildren(chart)
    const rows = [...chart.querySelectorAll('.row-item')]
    return { title: parsed.title, rows: rows.map((row, index) => rowFacts(row, parsed.entries[index])) }
  }

  return log.pages.map((_, number) => draw(number))
}

const browser = await launch(browserPath)
try {
  const page = await browser.newPage()
  page.on('pageerror', error => errors.push(String(error)))
  page.on('console', message => message.type() === 'error' && errors.push(message.text()))
  await page.route('**', route => route.fulfill({ status: 204 })) // the previews of images
  await page.addScriptTag({ path: createRequire(import.meta.url).resolve('perf-cascade/dist/perf-cascade.js') })
  const pages = await page.evaluate(drawAll, log)
  console.log(JSON.stringify({ pages, errors }))
} finally {
  await browser.close()
}
