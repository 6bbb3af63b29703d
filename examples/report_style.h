/* report_style.h: how the page of lesson 9 looks. One column of text that a telephone holds, light or dark after the
 * reader's system; plots and pictures stand on white panels, and what is too wide for the screen scrolls in its own. */
#ifndef LESSONS_REPORT_STYLE_H
#define LESSONS_REPORT_STYLE_H

/* Rules, one after the other. */
/* clang-format off */
static const char *const report_style[] = {
    ":root{color-scheme:light dark;\n"
    "  --paper:#fdfcfa;--ink:#22252a;--soft:#5d636d;--line:#dedad2;--panel:#fff;--tint:#f4f1eb;--link:#1f5f86;\n"
    "  --good:#2f6b3a;--good-tint:#e0efe0;--mixed:#7d5600;--mixed-tint:#f8ebcd;--bad:#9c2f1c;--bad-tint:#f9e0da}\n",
    "@media(prefers-color-scheme:dark){:root{\n"
    "  --paper:#16181c;--ink:#e3e4e6;--soft:#a2a8b1;--line:#363a41;--panel:#fff;--tint:#202329;--link:#83bfe6;\n"
    "  --good:#a5d6a7;--good-tint:#1f3323;--mixed:#ecc977;--mixed-tint:#3a3019;--bad:#f2a393;--bad-tint:#40211b}}\n",
    "*{box-sizing:border-box}\n",
    "html{-webkit-text-size-adjust:100%;text-size-adjust:100%;scroll-padding-top:1rem}\n",
    "body{margin:0;background:var(--paper);color:var(--ink);overflow-wrap:break-word;line-height:1.6;\n"
    "  font-size:1.0625rem;font-family:Charter,'Bitstream Charter','Sitka Text',Cambria,Georgia,serif}\n",
    "h1,h2,h3,nav,table,figcaption,.verdict,.missing,.label{font-family:system-ui,-apple-system,'Segoe UI',Roboto,\n"
    "  'Noto Sans',sans-serif}\n",
    "main,header,footer{max-width:46rem;margin:0 auto;padding:0 1.125rem}\n",
    "header{padding-top:3.5rem}\n",
    "footer{padding-top:2rem;padding-bottom:4rem;color:var(--soft);font-size:.9rem}\n",
    "h1{font-size:2.2rem;line-height:1.15;letter-spacing:-.02em;margin:0 0 .6rem}\n",
    "h2{font-size:1.5rem;line-height:1.25;letter-spacing:-.01em;margin:4rem 0 .8rem;padding-top:1.4rem;\n"
    "  border-top:1px solid var(--line)}\n",
    "h3{font-size:1.12rem;line-height:1.35;margin:3.2rem 0 .6rem}\n",
    "p{margin:.7rem 0}\n",
    "a{color:var(--link);text-decoration-thickness:1px;text-underline-offset:.15em}\n",
    ".lead{font-size:1.18rem;color:var(--soft);line-height:1.5;margin:0 0 1.6rem}\n",
    "nav ol{margin:0;padding:.9rem 1rem .9rem 2.4rem;background:var(--tint);border-radius:8px;font-size:.95rem}\n",
    "nav li{padding:.15rem 0}\n",
    "nav li::marker{color:var(--soft)}\n",
    "code,.equation{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;\n"
    "  font-size:.86em}\n",
    "p code{white-space:nowrap}\n",
    ".formula{color:var(--soft)}\n",
    ".equation{margin:.8rem 0;padding:.6rem .9rem;background:var(--tint);border-radius:6px;line-height:1.7}\n",
    "blockquote{margin:.8rem 0;padding:0 0 0 .9rem;border-left:3px solid var(--line);font-style:italic}\n",

    /* Plots and pictures. */
    "figure{margin:1.5rem 0}\n",
    "figure.wide{margin-inline:calc(50% - min(50vw - 1.125rem,33rem))}\n",
    "figcaption{color:var(--soft);font-size:.875rem;line-height:1.45;padding-top:.5rem}\n",
    ".wide figcaption{max-width:43.75rem;margin:0 auto}\n",
    ".panel{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:.6rem;overflow-x:auto;\n"
    "  scrollbar-width:thin}\n",
    ".panel svg,.panel img{display:block;width:100%;height:auto;margin:0 auto}\n",
    ".panel.dark{background:#262626}\n",

    /* Tables. Digits are of one width, so that they stand below each other. */
    ".scroll{overflow-x:auto;scrollbar-width:thin}\n",
    "table{border-collapse:collapse;width:100%;font-size:.86rem;line-height:1.35;font-variant-numeric:tabular-nums}\n",
    "th,td{padding:.42rem .6rem;text-align:right;vertical-align:baseline;border-bottom:1px solid var(--line)}\n",
    "th{font-weight:600;color:var(--soft);vertical-align:bottom}\n",
    "td{white-space:nowrap}\n",
    "th.words,td.words,th:first-child,td:first-child{text-align:left}\n",
    "td.words{white-space:normal;min-width:4.5rem}\n",
    "th:first-child,td:first-child{padding-left:0}\n",
    "th:last-child,td:last-child{padding-right:0}\n",

    /* Verdicts, and what is not there. */
    ".verdict{display:inline-block;padding:.08rem .6rem;border-radius:99px;font-size:.82rem;font-weight:600;\n"
    "  white-space:nowrap}\n",
    ".holds,.holds strong{color:var(--good);background:var(--good-tint)}\n",
    ".depends,.depends strong{color:var(--mixed);background:var(--mixed-tint)}\n",
    ".fails,.fails strong{color:var(--bad);background:var(--bad-tint)}\n",
    "h3 .verdict{margin-left:.4rem;vertical-align:.08em}\n",
    ".finding{padding:.1rem 1rem;border-radius:8px;font-size:1rem}\n",
    ".finding p{color:var(--ink)}.finding strong{font-weight:700}\n",
    ".label{font-size:.8rem;font-weight:600;color:var(--soft)}\n",
    ".missing{padding:.7rem 1rem;border:1px dashed var(--soft);border-radius:8px;color:var(--soft);font-size:.92rem}\n",

    "@media(max-width:30rem){body{font-size:1rem}h1{font-size:1.8rem}header{padding-top:2rem}\n"
    "  th,td{padding:.4rem .4rem}table{font-size:.82rem}p code{white-space:normal}\n"
    "  .wide figcaption::after{content:' Scroll sideways for the rest.'}}\n",
    "@media print{:root{--paper:#fff;--ink:#000;--soft:#444;--line:#bbb;--tint:#f4f4f4;--panel:#fff;--link:#000;\n"
    "  --good:#2f6b3a;--good-tint:#fff;--mixed:#7d5600;--mixed-tint:#fff;--bad:#9c2f1c;--bad-tint:#fff}\n"
    "  body{font-size:10.5pt}main,header,footer{max-width:none;padding:0}nav{display:none}\n"
    "  h2{break-before:page;border:0}\n"
    "  main>section:first-child h2{break-before:auto}\n"
    "  h2,h3{break-after:avoid}blockquote,.finding,.panel,tr{break-inside:avoid}.panel,.scroll{overflow:visible}\n"
    "  figure.wide{margin-inline:0}.panel svg,.panel img{min-width:0!important;max-height:9.5cm}\n"
    "  table{font-size:8.5pt}td{white-space:normal}.verdict{border:1px solid currentColor}}\n",
};
/* clang-format on */

#endif
