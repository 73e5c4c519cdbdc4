// Builds the documentation: the API reference from the docstrings, the READMEs and the guides, as one static site in site/.
// Warnings and broken links are errors.
import { readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, extname, join, relative } from 'node:path';
import {
  Application,
  type CommentDisplayPart,
  type DeclarationReflection,
  DocumentReflection,
  MinimalSourceFile,
  type NormalizedPath,
  type ProjectReflection,
  ReflectionKind,
} from 'typedoc';
import { findBrokenLinks } from './links.js';
import { guides, type Library, libraries, repository, root } from './sources.js';

const out = join(root, 'site');
rmSync(out, { recursive: true, force: true });

const app = await Application.bootstrap({
  name: 'TokenBridge in TypeScript',
  entryPoints: libraries.map(({ source }) => source),
  tsconfig: join(root, 'scripts/docs/tsconfig.json'),
  basePath: root,
  displayBasePath: root,
  readme: 'none', // added below, as the READMEs of the packages are
  disableGit: true,
  sourceLinkTemplate: `${repository}/blob/main/{path}#L{line}`,
  navigationLinks: { GitHub: repository },
  categorizeByGroup: false,
  excludeExternals: true,
  excludePrivate: true,
  githubPages: true,
  hideGenerator: true,
  validation: { notExported: true, invalidLink: true, invalidPath: false, notDocumented: false },
});

const project = await app.convert();
if (!project) process.exit(1); // the reason is printed
nameModules(project);
addPages(project);
app.validate(project);
await app.generateDocs(project, out);
const found = [...withoutDocstring(project), ...findBrokenLinks(out)];
for (const problem of found) console.error(problem);
const problems = app.logger.warningCount + app.logger.errorCount + found.length;
if (problems > 0) {
  console.error(`documentation: ${problems} problems`);
  process.exit(1);
}
console.log(`documentation in ${relative(process.cwd(), out)}/index.html`);

/** Modules have the names by which they are imported. */
function nameModules(project: ProjectReflection): void {
  for (const module of project.getChildrenByKind(ReflectionKind.Module)) {
    const library = libraries.find(({ source }) => module.sources?.[0].fullFileName === source);
    if (!library) throw new Error(`no package has the module ${module.name}`);
    module.name = library.name;
    if (library.isRoot) setReadme(module, library);
  }
}

function setReadme(module: DeclarationReflection, { folder }: Library): void {
  const path = join(root, folder, 'README.md') as NormalizedPath;
  app.files.registerReflection(path, module);
  app.files.registerReflectionPath(dirname(path) as NormalizedPath, module);
  module.readme = contentOf(path);
}

/** The README of the repository as the front page, and the guides behind it. */
function addPages(project: ProjectReflection): void {
  const front = join(root, 'README.md') as NormalizedPath;
  app.files.registerReflection(front, project);
  project.readme = contentOf(front);
  for (const path of guides) {
    const content = contentOf(path as NormalizedPath);
    const title = /^# (.+)$/m.exec(readFileSync(path, 'utf8'))?.[1];
    if (!title) throw new Error(`${relative(root, path)} does not begin with a title`);
    const page = new DocumentReflection(title.replaceAll('`', ''), project, content, {});
    project.addChild(page);
    project.registerReflection(page, undefined, path as NormalizedPath);
    app.files.registerReflection(path as NormalizedPath, page);
  }
  project.childrenIncludingDocuments = [
    ...(project.documents ?? []),
    ...(project.children ?? []).sort((a, b) => (a.name < b.name ? -1 : 1)),
  ];
  for (const parts of [
    project.readme,
    ...(project.children ?? []).map(({ readme }) => readme),
    ...(project.documents ?? []).map(({ content }) => content),
  ])
    if (parts) linkSources(parts);
}

/** A page without its title, which the site prints itself. */
function contentOf(path: NormalizedPath): CommentDisplayPart[] {
  const text = readFileSync(path, 'utf8').replace(/^# .+\n/, '');
  return app.converter.parseRawComment(new MinimalSourceFile(text, path), app.files).content;
}

/** Links to files and folders that have no page lead to the repository; images are copied. */
function linkSources(parts: CommentDisplayPart[]): void {
  for (const [i, part] of parts.entries()) {
    if (part.kind !== 'relative-link' || part.target === undefined) continue;
    const target = app.files.resolve(part.target, project as ProjectReflection);
    if (typeof target !== 'string' || /\.(png|jpe?g|svg)$/.test(extname(target))) continue;
    const kind = statSync(target).isDirectory() ? 'tree' : 'blob';
    parts[i] = { kind: 'text', text: `${repository}/${kind}/main/${relative(root, target)}` };
  }
}

/** Names that a package exports without a docstring. */
function withoutDocstring(project: ProjectReflection): string[] {
  const names = project.getReflectionsByKind(ReflectionKind.SomeModule) as DeclarationReflection[];
  const exported = names.flatMap((module) => (module.children ?? []).map((name) => ({ module, name })));
  return exported
    .filter(({ name }) => !name.kindOf([ReflectionKind.Reference, ReflectionKind.SomeModule]))
    .filter(({ name }) => ![name, ...(name.signatures ?? [])].some(({ comment }) => comment?.hasVisibleComponent()))
    .map(({ module, name }) => `${module.getFullName()}: ${name.name} has no docstring`);
}
