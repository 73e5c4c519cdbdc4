// One word for one thing, and plain English: words that docs/architecture.md (glossary) and CONTRIBUTING.md (style) rule out must
// not appear in sources, documentation and help.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/** What is looked for, what to write instead, and where the word is right. */
const words = [
  // Not the stored keys: `pictureSeed` of images, `pictures:` of reports, and the event 'picture' of logs.
  { pattern: /picture(?!Seed|s?'|s?:)/i, instead: 'image', except: /^bench\/parallel-train/ },
  // TensorFlow.js's own word, the key of a benchmark's results, and a field of package.json.
  {
    pattern: /\bengines?\b(?!\(|"|-strict)/i,
    instead: 'backend',
    except: /^packages\/(runtime|xla)\/|^bench\/|check-manifests/,
  },
  { pattern: /\bmend(s|ed|ing)?\b/i, instead: 'fix' },
  { pattern: /\banew\b/i, instead: 'again' },
  { pattern: /\bbeside\b/i, instead: 'next to', except: /sound-checkpoints/ }, // a key in its files
  { pattern: /\bmisshapen\b/i, instead: 'of the wrong shape' },
  { pattern: /\bsurplus\b/i, instead: 'unexpected' },
  { pattern: /\b(goes|going|go) on\b/i, instead: 'continue, resume' },
  { pattern: /\bcomes? along\b/i, instead: 'is bundled' },
  { pattern: /\bof (one's|its|your|their) own\b/i, instead: 'custom, separate' },
  { pattern: /\bsays? (which|so|why|what|how|whether|where)\b/i, instead: 'states, reports' },
  { pattern: /\b(stands?|stood) (in|beside|behind|before|there)\b/i, instead: 'is in' },
  { pattern: /\btells?\b/i, instead: 'reports, shows, distinguishes' },
  { pattern: /\b(has|have) said\b/i, instead: 'has reported' },
];

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { encoding: 'utf8' })
  .split('\n')
  .filter(
    (file) =>
      /\.(ts|mjs|md|yml)$/.test(file) && !/(^|\/)(CHANGELOG|LICENSES?)\.md$|^\.changeset\/|check-words/.test(file),
  )
  .filter((file) => existsSync(file));
const problems = files.flatMap(problemsOf);

function problemsOf(file) {
  const { lines } = readFileSync(file, 'utf8').split('\n').reduce(withoutGlossary, { lines: [], skipping: false });
  return lines.flatMap((line, index) =>
    words
      .filter(({ pattern, except }) => pattern.test(line) && !except?.test(file))
      .map(({ pattern, instead }) => `${file}:${index + 1}: "${pattern.exec(line)[0]}": write ${instead}`),
  );
}

/** The glossary names the words that are not to be used: its lines count as empty. */
function withoutGlossary({ lines, skipping }, line) {
  const skip = /^#+ /.test(line) ? /^#+ Glossary/.test(line) : skipping;
  lines.push(skip ? '' : line);
  return { lines, skipping: skip };
}

if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}
