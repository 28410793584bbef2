/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/host/db.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "tests/support/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

TEST(replace_keeps_the_old_file_when_it_fails)
{
    uint8_t *data = NULL;
    size_t len = 0;

    CHECK_OK(rb_file_replace("f", "old", 3, 0600));
    char *blocker = rb_text("f.tmp-%ld", (long)getpid());
    CHECK(mkdir(blocker, 0700) == 0); /* the temporary name is taken by a directory */
    CHECK(rb_file_replace("f", "new", 3, 0600) != RB_OK);
    rb_fail_clear();
    CHECK_OK(rb_file_read("f", 100, &data, &len));
    CHECK(len == 3 && memcmp(data, "old", 4) == 0);
    free(data);
    free(blocker);
}

TEST(read_refuses_what_is_over_the_limit)
{
    uint8_t *data = NULL;
    size_t len = 0;

    CHECK_OK(rb_file_replace("f", "12345", 5, 0600));
    CHECK_ERR(rb_file_read("f", 4, &data, &len), RB_ERR_TOO_LARGE);
    rb_fail_clear();
    CHECK_OK(rb_file_read("f", 5, &data, &len));
    CHECK(len == 5);
    free(data);
    CHECK_ERR(rb_file_read("missing", 5, &data, &len), RB_ERR_IO_NOT_FOUND);
    CHECK(strstr(rb_fail_detail(), "missing") != NULL);
}

TEST(hex_goes_both_ways_and_only_lower_case)
{
    uint8_t bytes[3] = {0x00, 0xaf, 0xff};
    uint8_t back[3];
    char text[7];

    rb_hex(bytes, 3, text);
    CHECK(strcmp(text, "00afff") == 0);
    CHECK_OK(rb_unhex(text, back, 3));
    CHECK(memcmp(bytes, back, 3) == 0);
    CHECK_ERR(rb_unhex("00AFFF", back, 3), RB_ERR_ARG);
    CHECK_ERR(rb_unhex("00afff0", back, 3), RB_ERR_ARG);
    CHECK_ERR(rb_unhex("", back, 3), RB_ERR_ARG);
    CHECK_ERR(rb_unhex(" 0afff", back, 3), RB_ERR_ARG);
}

TEST(lock_is_held_until_closed)
{
    int first = -1;
    int second = -1;

    CHECK_OK(rb_lock("lock", 0, RB_ERR_PKG_LOCKED, &first));
    CHECK_ERR(rb_lock("lock", 0, RB_ERR_PKG_LOCKED, &second), RB_ERR_PKG_LOCKED);
    rb_fail_clear();
    CHECK(close(first) == 0);
    CHECK_OK(rb_lock("lock", 0, RB_ERR_PKG_LOCKED, &second));
    (void)close(second);
}

TEST(fail_keeps_the_innermost_detail_without_control_characters)
{
    CHECK_ERR(rb_fail(RB_ERR_IO, "name \033[2J\n"), RB_ERR_IO);
    CHECK_ERR(rb_fail(RB_ERR_JSON, "outer"), RB_ERR_JSON);
    CHECK(strcmp(rb_fail_detail(), "name ?[2J?") == 0);
    rb_fail_clear();
}

TEST(JSON_12_database_values_are_bound_not_pasted)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    const char *name = "x'); DROP TABLE t; --";

    CHECK_OK(rb_db_open("db", "CREATE TABLE t(name TEXT)", 1, &db));
    CHECK_OK(rb_db_do(db, "INSERT INTO t VALUES(?)", "s", name));
    CHECK_OK(rb_db_prepare(db, &stmt, "SELECT name FROM t", ""));
    CHECK_OK(rb_db_step(stmt, &row));
    CHECK(row && strcmp((const char *)sqlite3_column_text(stmt, 0), name) == 0);
    (void)sqlite3_finalize(stmt);
    CHECK(sqlite3_close(db) == SQLITE_OK);
}

TEST(FAULT_11_damaged_database_is_told_from_a_failing_one)
{
    static char garbage[4096];
    sqlite3 *db = NULL;

    memset(garbage, 'x', sizeof garbage);
    CHECK_OK(rb_file_replace("db", garbage, sizeof garbage, 0600));
    CHECK_ERR(rb_db_open("db", "CREATE TABLE t(name TEXT)", 1, &db), RB_ERR_DB_CORRUPT);
    rb_fail_clear();
    CHECK_ERR(rb_db_open("no/such/dir/db", "CREATE TABLE t(name TEXT)", 1, &db), RB_ERR_DB);
}

TEST(FAULT_12_prepared_triggers_do_not_run)
{
    sqlite3 *db = NULL;

    CHECK(sqlite3_open("db", &db) == SQLITE_OK);
    CHECK(sqlite3_exec(db, "CREATE TABLE t(name TEXT); CREATE TABLE hit(n);"
                           "CREATE TRIGGER evil AFTER INSERT ON t BEGIN INSERT INTO hit VALUES(1); END;"
                           "PRAGMA user_version=1", NULL, NULL, NULL) == SQLITE_OK);
    CHECK(sqlite3_close(db) == SQLITE_OK);
    CHECK_OK(rb_db_open("db", "CREATE TABLE t(name TEXT)", 1, &db));
    CHECK_OK(rb_db_do(db, "INSERT INTO t VALUES('a')", ""));
    sqlite3_stmt *stmt = NULL;
    bool row = true;
    CHECK_OK(rb_db_prepare(db, &stmt, "SELECT n FROM hit", ""));
    CHECK_OK(rb_db_step(stmt, &row));
    CHECK(!row);
    (void)sqlite3_finalize(stmt);
    CHECK(sqlite3_close(db) == SQLITE_OK);
}
