from services.console.files import INDEX, TYPES, read_files


def test_the_page_and_all_that_it_names_is_there() -> None:
    files = read_files()
    page = files[INDEX].body.decode()
    named = [part.partition('"')[0] for part in page.split('"/static/')[1:]]
    assert named
    assert set(named) <= set(files)


def test_every_file_has_a_type_and_a_tag_of_its_own() -> None:
    files = read_files()
    assert {file.content_type for file in files.values()} <= set(TYPES.values())
    assert len({file.etag for file in files.values()}) == len(files)
    assert all(file.etag.startswith('"') and file.etag.endswith('"') for file in files.values())
